#!/usr/bin/env python3
"""Makes Tests/PairingTests/Vectors/pairing.json: the known answers of docs/PROTOCOL.md.

An implementation of the handshake, the key schedule and the frames that shares nothing with the Swift one: hashlib and
hmac of Python's standard library, X25519, AES-GCM and ML-KEM-768 of the `cryptography` package (48 or newer).

    scripts/vectors_pairing.py            exit 1 if the file, or the worked example in docs/PROTOCOL.md, is not what this
                                          script computes
    scripts/vectors_pairing.py --write    write the file
    scripts/vectors_pairing.py --trace    print the worked example

ML-KEM encapsulation is random and the package offers no way to choose its coins. So the ciphertext is an input: the one in
the file is kept, and its shared secret is recomputed by decapsulating it. Without a file a fresh one is made.
"""

import hashlib
import hmac
import json
import pathlib
import sys
from base64 import b32encode

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILE = ROOT / "Tests/PairingTests/Vectors/pairing.json"
DOCUMENT = ROOT / "docs/PROTOCOL.md"


# Primitives


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def hmac256(key: bytes, *parts: bytes) -> bytes:
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def hkdf(salt: bytes, ikm: bytes, info: bytes, count: int) -> bytes:
    """RFC 5869; an empty salt is 32 zero bytes (its section 2.2), which HMAC makes the same."""
    prk = hmac256(salt, ikm)
    okm, block = b"", b""
    while len(okm) < count:
        block = hmac256(prk, block, info, bytes([len(okm) // 32 + 1]))
        okm += block
    return okm[:count]


def u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def u64(value: int) -> bytes:
    return value.to_bytes(8, "big")


class Key:
    """An X25519 key pair whose private key is the hash of a word, so that vectors have readable origins."""

    def __init__(self, word: str):
        self.private = sha256(b"oncewire test vector: ", word.encode())
        self.key = X25519PrivateKey.from_private_bytes(self.private)
        self.public = self.key.public_key().public_bytes_raw()

    def dh(self, public: bytes) -> bytes:
        return self.key.exchange(X25519PublicKey.from_public_bytes(public))


# Noise


class Symmetric:
    def __init__(self, name: bytes):
        self.h = name.ljust(32, b"\0") if len(name) <= 32 else sha256(name)
        self.ck = self.h
        self.k = None
        self.n = 0
        self.trace = []

    def after(self, step: str) -> None:
        """Notes the state for the worked example."""
        self.trace.append((step, self.ck, self.h))

    def mix_hash(self, data: bytes) -> None:
        self.h = sha256(self.h, data)

    def mix_key(self, ikm: bytes) -> None:
        out = hkdf(self.ck, ikm, b"", 64)
        self.ck, self.k, self.n = out[:32], out[32:], 0

    def mix_key_and_hash(self, ikm: bytes) -> None:
        out = hkdf(self.ck, ikm, b"", 96)
        self.ck = out[:32]
        self.mix_hash(out[32:64])
        self.k, self.n = out[64:], 0

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        sealed = AESGCM(self.k).encrypt(bytes(4) + u64(self.n), plaintext, self.h)
        self.n += 1
        self.mix_hash(sealed)
        return sealed


def pairing(device: Key, server: Key, device_e: Key, server_e: Key, kem_seed: bytes, ciphertext: bytes, psk: bytes,
            payload_1: bytes, payload_2: bytes) -> dict:
    """Both messages and what they leave, written from both ends' keys at once."""
    kem = MLKEM768PrivateKey.from_seed_bytes(kem_seed)
    shared = kem.decapsulate(ciphertext)

    s = Symmetric(b"Noise_IKhfspsk2_25519+MLKEM768_AESGCM_SHA256")
    s.mix_hash(b"oncewire/1")
    preamble = b"OW\x01\x01"
    s.mix_hash(preamble)
    s.mix_hash(server.public)
    s.after("start")
    # -> e, e1, es, s, ss
    noise = device_e.public
    s.mix_hash(device_e.public)
    s.mix_key(device_e.public)
    s.after("-> e")
    noise += s.encrypt_and_hash(kem.public_key().public_bytes_raw())
    s.after("-> e1")
    s.mix_key(device_e.dh(server.public))
    s.after("-> es")
    noise += s.encrypt_and_hash(device.public)
    s.after("-> s")
    s.mix_key(device.dh(server.public))
    s.after("-> ss")
    noise += s.encrypt_and_hash(payload_1)
    s.after("-> payload")
    pair = preamble + noise
    pair += mac1(server.public, pair)
    # <- e, ee, ekem1, se, psk
    preamble = b"OW\x01\x02"
    s.mix_hash(preamble)
    noise = server_e.public
    s.mix_hash(server_e.public)
    s.mix_key(server_e.public)
    s.after("<- e")
    s.mix_key(server_e.dh(device_e.public))
    s.after("<- ee")
    noise += s.encrypt_and_hash(ciphertext)
    s.mix_key(shared)
    s.after("<- ekem1")
    s.mix_key(server_e.dh(device.public))
    s.after("<- se")
    s.mix_key_and_hash(psk)
    s.after("<- psk")
    noise += s.encrypt_and_hash(payload_2)
    s.after("<- payload")
    paired = preamble + noise
    assert len(pair) == 1324 and len(paired) == 1196
    return {"pair": pair, "paired": paired, "h": s.h, "ck": s.ck, "shared": shared, "trace": s.trace}


# Around it


def mac1(server: bytes, covered: bytes) -> bytes:
    return hmac256(sha256(b"oncewire/1 mac1", server), covered)[:16]


def conversation_id(server: Key, random: bytes) -> bytes:
    key = hkdf(b"", server.private, b"oncewire/1 conversation id", 32)
    return random + hmac256(key, random)[:4]


def personalization(direction: int, phase: int, transcript: bytes, device: Key, server: Key, epoch: int) -> bytes:
    return sha256(b"oncewire/1 personalization", bytes([1, direction, phase]), transcript, device.public, server.public,
                  u32(epoch))


def resume(root: bytes, epoch: int, id: bytes, device: Key, server: Key, device_e: Key, server_e: Key, salts: tuple) -> dict:
    message = b"OW\x01\x03" + id + u32(epoch) + salts[0] + device_e.public
    message += hmac256(hkdf(b"", root, b"oncewire/1 resume", 32), message)[:16]
    message += mac1(server.public, message)
    accept = b"OW\x01\x04" + salts[1] + server_e.public
    t = sha256(message, accept)
    ee, es, se = device_e.dh(server_e.public), device_e.dh(server.public), device.dh(server_e.public)
    okm = hkdf(t, root + ee + es + se, b"oncewire/1 carrier entropy", 96)
    accept += hmac256(okm[64:], t)[:16]
    assert len(message) == 104 and len(accept) == 68
    return {"resume": message, "accept": accept, "t": t, "entropy": okm[:64]}


# Frames


def drbg(entropy: bytes, nonce: bytes, person: bytes, count: int) -> bytes:
    """HMAC-DRBG with SHA-256, SP 800-90A section 10.1.2: instantiate and the first generate."""
    key, v = bytes(32), b"\1" * 32
    seed = entropy + nonce + person
    for separator in (b"\0", b"\1"):
        key = hmac256(key, v, separator, seed)
        v = hmac256(key, v)
    out = b""
    while len(out) < count:
        v = hmac256(key, v)
        out += v
    return out[:count]


def frame(entropy: bytes, prefix: bytes, person: bytes, counter: int, type: int, plaintext: bytes) -> bytes:
    secret = drbg(entropy, prefix + u64(counter), person, 44)
    header = bytes([type, 0, 0, 0]) + u32(len(plaintext)) + u64(counter)
    return header + AESGCM(secret[:32]).encrypt(secret[32:], plaintext, header)


def carrier(entropies: bytes, prefix: bytes, persons: list, plaintexts: list, rekey: bytes) -> dict:
    """The same three frames in each direction: two, then a REKEY that mixes `rekey` in, then the third."""
    result = {"prefix": prefix.hex()}
    for direction, name in enumerate(("c2s", "s2c")):
        entropy = entropies[32 * direction:32 * direction + 32]
        after = hkdf(b"", entropy + rekey, b"oncewire/1 rekey", 32)
        result[name] = {
            "entropy": entropy.hex(), "personalization": persons[direction].hex(), "entropyAfterRekey": after.hex(),
            "frames": [frame(after if n == 2 else entropy, prefix, persons[direction], n, 2, plaintexts[n]).hex()
                       for n in range(3)],
        }
    return result


def key_text(prefix: str, label: bytes, key: bytes) -> str:
    return prefix + b32encode(key + sha256(label, key)[:3]).decode().lower()


def vector(psk: bytes, ciphertext: bytes) -> tuple:
    device, server = Key("device"), Key("server")
    device_e, server_e = Key("device ephemeral"), Key("server ephemeral")
    kem_seed = sha256(b"oncewire test vector: d") + sha256(b"oncewire test vector: z")
    id = conversation_id(server, bytes(range(12)))
    nonce = 0x0102030405060708
    payload_1 = bytes([1]) + bytes(7)
    payload_2 = id + u64(nonce) + u32(900) + u32(3600) + u32(86400) + u32(0)
    p = pairing(device, server, device_e, server_e, kem_seed, ciphertext, psk, payload_1, payload_2)

    roots = [hkdf(p["h"], p["ck"], b"oncewire/1 root", 32)]
    for _ in range(3):
        roots.append(hkdf(b"", roots[-1], b"oncewire/1 ratchet", 32))
    plaintexts = [b"q", bytes(range(256)), b"after the rekey"]
    rekey = Key("rekey a").dh(Key("rekey b").public)
    first = carrier(
        hkdf(p["h"], p["ck"], b"oncewire/1 carrier entropy", 64),
        sha256(b"oncewire/1 prefix", p["h"], u64(nonce))[:14],
        [personalization(d, 0, p["h"], device, server, 0) for d in (0, 1)], plaintexts, rekey)

    resumes = []
    for epoch in (0, 3):
        keys = Key(f"resume {epoch} device"), Key(f"resume {epoch} server")
        salts = bytes([epoch]) * 16, bytes([0x80 + epoch]) * 16
        r = resume(roots[epoch], epoch, id, device, server, *keys, salts)
        resumes.append({
            "epoch": epoch, "deviceSalt": salts[0].hex(), "serverSalt": salts[1].hex(),
            "deviceEphemeral": keys[0].private.hex(), "serverEphemeral": keys[1].private.hex(),
            "resume": r["resume"].hex(), "accept": r["accept"].hex(), "t": r["t"].hex(),
            "carrier": carrier(
                r["entropy"], sha256(b"oncewire/1 prefix", r["t"])[:14],
                [personalization(d, 1, r["t"], device, server, epoch) for d in (0, 1)], plaintexts, rekey),
        })

    return {
        "device": device.private.hex(), "devicePublic": device.public.hex(),
        "devicePublicText": key_text("owpub-", b"oncewire public key", device.public),
        "devicePrivateText": key_text("owkey-", b"oncewire private key", device.private),
        "server": server.private.hex(), "serverPublic": server.public.hex(),
        "serverPublicText": key_text("owpub-", b"oncewire public key", server.public),
        "deviceEphemeral": device_e.private.hex(), "serverEphemeral": server_e.private.hex(),
        "kemSeed": kem_seed.hex(), "kemCiphertext": ciphertext.hex(), "kemSharedSecret": p["shared"].hex(),
        "psk": psk.hex(), "conversationID": id.hex(), "nonce": u64(nonce).hex(),
        "pair": p["pair"].hex(), "paired": p["paired"].hex(), "h": p["h"].hex(), "ck": p["ck"].hex(),
        "roots": [root.hex() for root in roots], "rekey": rekey.hex(),
        "plaintexts": [plaintext.hex() for plaintext in plaintexts],
        "pairingCarrier": first, "resumes": resumes,
    }, p["trace"]


def trace(vector: dict, states: list) -> list:
    """The lines of the worked example: the first vector, step by step."""
    def fold(name: str, *parts: str) -> list:
        """The parts below each other, none wider than 96 hexadecimal digits."""
        rows = [part[i:i + 96] for part in parts for i in range(0, len(part), 96)]
        return [f"{'' if n else name:20} {row}" for n, row in enumerate(rows)]

    def short(name: str, hex: str) -> list:
        """A message that follows from the other values: its first and last 8 bytes, and its hash."""
        return fold(name, f"{hex[:16]}…{hex[-16:]}", f"SHA-256 {sha256(bytes.fromhex(hex)).hex()}")

    lines = []
    for name, key in (
            ("client private", "device"), ("client public", "devicePublic"), ("server private", "server"),
            ("server public", "serverPublic"), ("client e private", "deviceEphemeral"),
            ("server e private", "serverEphemeral"), ("ML-KEM seed d||z", "kemSeed"),
            ("ML-KEM ciphertext", "kemCiphertext"), ("ML-KEM secret", "kemSharedSecret"), ("psk", "psk"),
            ("conversation id", "conversationID"), ("nonce", "nonce")):
        lines += fold(name, vector[key])
    for step, ck, h in states:
        lines += [f"{step:20} ck {ck.hex()}", f"{'':20} h  {h.hex()}"]
    lines += short("PAIR", vector["pair"]) + short("PAIRED", vector["paired"])
    lines += [f"root_{n:<15} {root}" for n, root in enumerate(vector["roots"])]

    def carrier(title: str, carrier: dict) -> None:
        lines.append(f"{title + ' prefix':20} {carrier['prefix']}")
        for direction in ("c2s", "s2c"):
            way = carrier[direction]
            secret = drbg(bytes.fromhex(way["entropy"]), bytes.fromhex(carrier["prefix"]) + u64(0),
                          bytes.fromhex(way["personalization"]), 44)
            lines.extend([
                f"{direction + ' entropy':20} {way['entropy']}", f"{direction + ' personaliz.':20} {way['personalization']}",
                f"{direction + ' 0 key':20} {secret[:32].hex()}", f"{direction + ' 0 iv':20} {secret[32:].hex()}",
                f"{direction + ' 0 frame':20} {way['frames'][0]}"])

    carrier("pairing", vector["pairingCarrier"])
    for resumed in vector["resumes"]:
        lines += [f"{'epoch':20} {resumed['epoch']}"]
        lines += [f"{name:20} {resumed[key]}" for name, key in (
            ("client e private", "deviceEphemeral"), ("client salt", "deviceSalt"), ("server e private", "serverEphemeral"),
            ("server salt", "serverSalt"), ("t", "t"))]
        lines += short("RESUME", resumed["resume"]) + short("ACCEPT", resumed["accept"])
        carrier("resumed", resumed["carrier"])
    return lines


def main() -> int:
    old = json.loads(FILE.read_text()) if FILE.exists() else None
    if old:
        ciphertext = bytes.fromhex(old["vectors"][0]["kemCiphertext"])
    else:
        seed = sha256(b"oncewire test vector: d") + sha256(b"oncewire test vector: z")
        _, ciphertext = MLKEM768PrivateKey.from_seed_bytes(seed).public_key().encapsulate()
    first, states = vector(bytes(32), ciphertext)
    second, _ = vector(sha256(b"oncewire test vector: psk"), ciphertext)
    new = {"source": "scripts/vectors_pairing.py", "vectors": [first, second]}
    example = trace(first, states)
    if "--trace" in sys.argv[1:]:
        print("\n".join(example))
        return 0
    if "--write" in sys.argv[1:]:
        FILE.parent.mkdir(parents=True, exist_ok=True)
        FILE.write_text(json.dumps(new, indent=1) + "\n")
        return 0
    wrong = []
    if new != old:
        wrong.append(f"{FILE} differs from what this script computes")
    if "\n".join(example) not in DOCUMENT.read_text():
        wrong.append(f"the worked example in {DOCUMENT} differs from what this script computes")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
