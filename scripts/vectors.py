#!/usr/bin/env python3
"""Writes the codec's own known answers, Tests/Vectors/Codec/*.json.

An implementation apart from the Swift one, as short as the standards allow: HMAC-DRBG and HKDF are
written here on top of hmac and hashlib, AES-256-GCM and X25519 are the `cryptography` package's. Inputs
come from SHA-256 of a label, so that a run gives the same files every time:

    python3 scripts/vectors.py            writes the files
    python3 scripts/vectors.py --check    exits 1 if they differ from what would be written
"""

import hashlib
import hmac
import json
import pathlib
import struct
import sys

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TARGET = pathlib.Path(__file__).resolve().parent.parent / "Tests" / "Vectors" / "Codec"


def mac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def sample(label, count):
    """`count` bytes that look random and are the same in every run."""
    blocks = (hashlib.sha256(f"{label}/{i}".encode()).digest() for i in range((count + 31) // 32))
    return b"".join(blocks)[:count]


class HmacDrbg:
    """SP 800-90A Rev. 1, 10.1.2, SHA-256."""

    def __init__(self, entropy, nonce, personalization):
        self.key, self.v = bytes(32), b"\x01" * 32
        self.update(entropy + nonce + personalization)

    def update(self, data):
        for round_byte in (b"\x00", b"\x01"):
            self.key = mac(self.key, self.v + round_byte + data)
            self.v = mac(self.key, self.v)
            if not data:
                return

    def reseed(self, entropy, additional):
        self.update(entropy + additional)

    def generate(self, count, additional):
        if additional:
            self.update(additional)
        out = b""
        while len(out) < count:
            self.v = mac(self.key, self.v)
            out += self.v
        self.update(additional)
        return out[:count]


def hkdf(salt, ikm, info, count):
    """RFC 5869."""
    prk = mac(salt or bytes(32), ikm)
    okm, block = b"", b""
    for i in range(1, (count + 31) // 32 + 1):
        block = mac(prk, block + info + bytes([i]))
        okm += block
    return okm[:count]


def frame(entropy, personalization, prefix, counter, kind, plaintext):
    """One frame: 16 header bytes, ciphertext, tag."""
    header = struct.pack(">BBHIQ", kind, 0, 0, len(plaintext), counter)
    drbg = HmacDrbg(entropy, prefix + struct.pack(">Q", counter), personalization)
    okm = drbg.generate(44, b"")
    return header, okm, header + AESGCM(okm[:32]).encrypt(okm[32:], plaintext, header)


def drbg_cases():
    shapes = [
        # entropy, nonce, personalization, additional input, bytes
        (32, 22, 32, 0, 44), (32, 16, 0, 0, 32), (32, 16, 32, 32, 128), (16, 8, 0, 0, 1), (48, 24, 64, 7, 31),
        (32, 0, 0, 0, 33), (1, 1, 1, 1, 64), (64, 16, 100, 65, 65), (32, 22, 33, 0, 44), (32, 23, 32, 0, 44),
        (128, 64, 256, 200, 300), (32, 16, 32, 0, 0),
    ]
    for i, (e, n, p, a, count) in enumerate(shapes):
        entropy, nonce = sample(f"drbg entropy {i}", e), sample(f"drbg nonce {i}", n)
        personalization = sample(f"drbg personalization {i}", p)
        drbg = HmacDrbg(entropy, nonce, personalization)
        case = {
            "entropy": entropy.hex(), "nonce": nonce.hex(), "personalization": personalization.hex(),
            "instantiated": {"key": drbg.key.hex(), "v": drbg.v.hex()}, "steps": [],
        }
        for step in range(4):
            additional = sample(f"drbg additional {i} {step}", a)
            if step == 2:
                seed = sample(f"drbg reseed {i}", e)
                drbg.reseed(seed, additional)
                entry = {"reseed": seed.hex(), "additional": additional.hex()}
            else:
                out = drbg.generate(count, additional)
                entry = {"additional": additional.hex(), "output": out.hex()}
            case["steps"].append(entry | {"key": drbg.key.hex(), "v": drbg.v.hex()})
        yield case


def frame_cases():
    counters = [0, 1, 2, 255, 256, 2**32 - 1, 2**32, 2**63, 2**64 - 2]
    lengths = [0, 1, 15, 16, 17, 31, 33, 64, 1000]
    kinds = [7, 2, 2, 2, 2, 1, 2, 3, 2]
    for i, (counter, length, kind) in enumerate(zip(counters, lengths, kinds)):
        entropy, personalization = sample(f"frame entropy {i}", 32), sample(f"frame personalization {i}", 32)
        prefix, plaintext = sample(f"frame prefix {i}", 14), sample(f"frame plaintext {i}", length)
        header, okm, whole = frame(entropy, personalization, prefix, counter, kind, plaintext)
        yield {
            "entropy": entropy.hex(), "personalization": personalization.hex(), "prefix": prefix.hex(),
            "counter": f"{counter:016x}", "header": header.hex(), "plaintext": plaintext.hex(),
            "key": okm[:32].hex(), "iv": okm[32:].hex(), "frame": whole.hex(),
        }


def large_frame_case():
    """The longest frame, by its hash: the bytes would be 128 KiB of text."""
    entropy, personalization = sample("large entropy", 32), sample("large personalization", 32)
    prefix, plaintext = sample("large prefix", 14), bytes(i * 7 % 251 for i in range(65536))
    header, _, whole = frame(entropy, personalization, prefix, 77, 2, plaintext)
    return {
        "entropy": entropy.hex(), "personalization": personalization.hex(), "prefix": prefix.hex(),
        "counter": f"{77:016x}", "header": header.hex(), "plaintext": "byte i is i * 7 mod 251, 65536 of them",
        "sha256": hashlib.sha256(whole).hexdigest(),
    }


def rekey_chain():
    """One direction through three REKEYs: counter, prefix and personalization go on."""
    entropy, personalization = sample("rekey entropy", 32), sample("rekey personalization", 32)
    prefix, counter, links = sample("rekey prefix", 14), 0, []
    chain = {"entropy": entropy.hex(), "personalization": personalization.hex(), "prefix": prefix.hex()}
    for i in range(4):
        frames = []
        for _ in range(2):
            plaintext = sample(f"rekey plaintext {counter}", 20 + counter)
            header, _, whole = frame(entropy, personalization, prefix, counter, 2, plaintext)
            frames.append({"header": header.hex(), "plaintext": plaintext.hex(), "frame": whole.hex()})
            counter += 1
        shared = sample(f"rekey shared {i}", 32)
        links.append({"entropy": entropy.hex(), "frames": frames, "shared": shared.hex()})
        entropy = hkdf(b"", entropy + shared, b"oncewire/1 rekey", 32)
    return chain | {"links": links, "last": entropy.hex()}


def hkdf_cases():
    shapes = [(0, 32, 16, 32), (32, 32, 22, 64), (32, 128, 26, 96), (16, 0, 0, 32), (100, 200, 300, 8160), (1, 1, 1, 1)]
    for i, (s, k, n, count) in enumerate(shapes):
        salt, ikm, info = (sample(f"hkdf {name} {i}", n) for name, n in (("salt", s), ("ikm", k), ("info", n)))
        yield {"salt": salt.hex(), "ikm": ikm.hex(), "info": info.hex(), "okm": hkdf(salt, ikm, info, count).hex()}


def primitive_cases():
    codes = []
    for key, message in ((0, 0), (16, 3), (32, 64), (64, 65), (65, 200), (200, 55)):
        k, m = sample(f"hmac key {key}", key), sample(f"hmac message {message}", message)
        codes.append({"key": k.hex(), "message": m.hex(), "code": mac(k, m).hex()})
    sealed = []
    for aad, plaintext in ((0, 0), (32, 0), (0, 32), (36, 1184), (1, 17)):
        k, n = sample(f"aead key {plaintext}", 32), sample(f"aead nonce {plaintext}", 12)
        a, p = sample(f"aead aad {aad}", aad), sample(f"aead plaintext {plaintext}", plaintext)
        sealed.append({
            "key": k.hex(), "nonce": n.hex(), "aad": a.hex(), "plaintext": p.hex(),
            "sealed": AESGCM(k).encrypt(n, p, a).hex(),
        })
    agreements = []
    for i in range(4):
        own, peer = (X25519PrivateKey.from_private_bytes(sample(f"x25519 {n} {i}", 32)) for n in ("own", "peer"))
        agreements.append({
            "own": own.private_bytes_raw().hex(), "ownPublic": own.public_key().public_bytes_raw().hex(),
            "peerPublic": peer.public_key().public_bytes_raw().hex(), "shared": own.exchange(peer.public_key()).hex(),
        })
    return {"hmac": codes, "aead": sealed, "x25519": agreements}


def main():
    files = {
        "drbg.json": {"cases": list(drbg_cases())},
        "frames.json": {"cases": list(frame_cases()), "large": large_frame_case()},
        "rekey.json": rekey_chain(),
        "hkdf.json": {"cases": list(hkdf_cases())},
        "primitives.json": primitive_cases(),
    }
    stale = False
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        text = json.dumps(content, indent=1) + "\n"
        path = TARGET / name
        if "--check" in sys.argv[1:]:
            if not path.exists() or path.read_text() != text:
                print(f"{path.name} is not what scripts/vectors.py writes", file=sys.stderr)
                stale = True
        else:
            path.write_text(text)
    sys.exit(1 if stale else 0)


if __name__ == "__main__":
    main()
