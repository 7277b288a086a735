"""A paired device that speaks the protocol by itself (docs/PROTOCOL.md) and floods its server with records.

Its cryptography is that of scripts/vectors_pairing.py, which shares nothing with the daemons.
"""

import os
import socket
import sys
from base64 import b32decode

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "scripts"))

import vectors_pairing as vectors  # noqa: E402
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey  # noqa: E402
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey  # noqa: E402
from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: E402

PING, PONG, CONFIRM, CONFIRMED, BUNDLE = 7, 8, 11, 12, 13
R_OPEN, R_DATA, R_ABORT, R_CREDIT = 1, 2, 6, 7
MOST = 65536


class Closed(Exception):
    """The server closed the carrier."""


class KeyPair:
    def __init__(self, private):
        self.key = X25519PrivateKey.from_private_bytes(private)
        self.public = self.key.public_key().public_bytes_raw()

    def agree(self, public):
        return self.key.exchange(X25519PublicKey.from_public_bytes(public))


def key_of(text):
    """The 32 bytes of `owpub-…` or `owkey-…`."""
    return b32decode(text.strip().split("-", 1)[1].upper())[:32]


def identity(path):
    with open(path) as file:
        return KeyPair(key_of(next(line for line in file if line.startswith("owkey-"))))


class Carrier:
    """One carrier, paired and confirmed."""

    def __init__(self, port, key_file, server_text):
        device, server, ephemeral = identity(key_file), key_of(server_text), KeyPair(os.urandom(32))
        kem = MLKEM768PrivateKey.generate()
        noise = vectors.Symmetric(b"Noise_IKhfspsk2_25519+MLKEM768_AESGCM_SHA256")
        message = b"OW\1\1"
        for data in (b"oncewire/1", message, server, ephemeral.public):
            noise.mix_hash(data)
        noise.mix_key(ephemeral.public)
        message += ephemeral.public + noise.encrypt_and_hash(kem.public_key().public_bytes_raw())
        noise.mix_key(ephemeral.agree(server))
        message += noise.encrypt_and_hash(device.public)
        noise.mix_key(device.agree(server))
        message += noise.encrypt_and_hash(b"\1" + bytes(7))
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.socket.sendall(message + vectors.mac1(server, message))

        reply = self.take(1196)
        noise.mix_hash(reply[:4])
        noise.mix_hash(reply[4:36])
        noise.mix_key(reply[4:36])
        noise.mix_key(ephemeral.agree(reply[4:36]))
        noise.mix_key(kem.decapsulate(self.open_noise(noise, reply[36:1140])))
        noise.mix_key(device.agree(reply[4:36]))
        noise.mix_key_and_hash(bytes(32))
        payload = self.open_noise(noise, reply[1140:])
        self.entropy = vectors.hkdf(noise.h, noise.ck, b"oncewire/1 carrier entropy", 64)
        self.prefix = vectors.sha256(b"oncewire/1 prefix", noise.h, payload[16:24])[:14]
        self.persons = [
            vectors.sha256(
                b"oncewire/1 personalization", bytes([1, way, 0]), noise.h, device.public, server, vectors.u32(0)
            )
            for way in (0, 1)
        ]
        self.nonces = [0, 0]
        self.send(CONFIRM)
        if self.next()[0] != CONFIRMED:
            raise Closed("no CONFIRMED")

    @staticmethod
    def open_noise(noise, sealed):
        plain = AESGCM(noise.k).decrypt(bytes(4) + vectors.u64(noise.n), sealed, noise.h)
        noise.n += 1
        noise.mix_hash(sealed)
        return plain

    def take(self, count):
        while len(self.received) < count:
            more = self.socket.recv(1 << 18)
            if not more:
                raise Closed(f"the server closed the carrier after {len(self.received)} of {count} bytes")
            self.received += more
        taken, self.received = self.received[:count], self.received[count:]
        return taken

    def secret(self, way):
        nonce = vectors.u64(self.nonces[way])
        self.nonces[way] += 1
        made = vectors.drbg(self.entropy[32 * way : 32 * way + 32], self.prefix + nonce, self.persons[way], 44)
        return made[:32], made[32:], nonce

    def frame(self, kind, plain=b""):
        key, iv, nonce = self.secret(0)
        header = bytes([kind, 0, 0, 0]) + vectors.u32(len(plain)) + nonce
        return header + AESGCM(key).encrypt(iv, plain, header)

    def send(self, kind, plain=b""):
        self.socket.sendall(self.frame(kind, plain))

    def next(self):
        """The next frame that is no PING: its type and plaintext."""
        while True:
            header = self.take(16)
            body = self.take(int.from_bytes(header[4:8], "big") + 16)
            key, iv, _ = self.secret(1)
            plain = AESGCM(key).decrypt(iv, body, header)
            if header[0] != PING:
                return header[0], plain

    def round_trip(self):
        """Returns when the server has looked at everything that was sent before."""
        self.send(PING)
        while self.next()[0] != PONG:
            pass

    def close(self):
        self.socket.close()


def record(kind, stream, payload=b""):
    return bytes([kind, 0]) + len(payload).to_bytes(2, "big") + vectors.u64(stream) + payload


def open_record(stream, service):
    name = service.encode()
    return record(R_OPEN, stream, vectors.u64(stream) + bytes(23) + bytes([len(name)]) + name)


def bundles(records):
    """Records in bundles that are as full as they can be."""
    parts, size = [], 0
    for one in records:
        if size + len(one) > MOST:
            yield b"".join(parts)
            parts, size = [], 0
        parts.append(one)
        size += len(one)
    if parts:
        yield b"".join(parts)


class Flood:
    """Frames of one kind of flood, made before they are sent. Each `send` is one carrier's worth."""

    def __init__(self, port, key_file, server_text, service):
        self.where, self.service = (port, key_file, server_text), service

    def one_byte_data(self, carrier):
        streams = range(1, 21)
        carrier.send(BUNDLE, b"".join(open_record(stream, self.service) for stream in streams))
        return [record(R_DATA, stream, b"x") for stream in streams] * 65000

    def open_and_abort(self, carrier):
        return [
            open_record(stream, self.service) + record(R_ABORT, stream, b"\5") for stream in range(1, 45001)
        ]

    def opens(self, carrier):
        return [open_record(stream, self.service) for stream in range(1, 10001)]

    def idle_credits(self, carrier):
        carrier.send(BUNDLE, open_record(1, self.service))
        return [record(R_CREDIT, 1, vectors.u64(0))] * 1000000

    KINDS = ("one_byte_data", "open_and_abort", "opens", "idle_credits")

    def prepare(self, kind):
        """A confirmed carrier and the bytes of its flood."""
        carrier = Carrier(*self.where)
        records = getattr(self, kind)(carrier)
        return carrier, b"".join(carrier.frame(BUNDLE, bundle) for bundle in bundles(records)), len(records)
