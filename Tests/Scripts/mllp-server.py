#!/usr/bin/env python3
"""An HL7 receiver made of other people's code, which answers or misbehaves as told.

    mllp-server.py [--peer hl7|hl7apy] [--port 0] [--record FILE] [--rule MATCH=ANSWERS]...
                   [--random SEED]

The first line of its output is the port. `hl7` keeps a connection for many messages; `hl7apy`
closes each after one, and reads UTF-8 only.

MATCH is a message type with or without ORC-1, or *: ORM^O01/HD, ORU^R01, *. The first rule that
fits holds; without one the answer is AA. ANSWERS are taken in turn with + between them, and the
last of them stays: silent+AA. Each is one of

    AA CA CE CR     AE AR AE:204 AR:200 (with ERR)
    silent          nothing, and the connection is kept
    close           nothing, and the connection is closed
    late:SECONDS    AA after a while
    wrong-id        AA for another message
    garbage         bytes that are no frame
    twice           AA and at once AA again

--random chooses among all of these, most often AA, where no rule fits.

FILE gets a JSON line for each message as it comes: time, control_id, type, text, answer."""
import argparse
import asyncio
import json
import random
import signal
import ssl
import sys
import threading
import time

import hl7
from hl7apy.mllp import AbstractHandler, MLLPServer
from hl7.mllp import InvalidBlockError, start_hl7_server

FAULTS = ["AE:207", "CE", "silent", "close", "late:0.5", "wrong-id", "garbage", "twice"]
CHARACTER_SETS = {"8859/1": "iso-8859-1", "8859/15": "iso-8859-15"}
START, END = "\x0b", "\x1c\r"


class Rules:
    """Which answer a message gets."""

    def __init__(self, rules, seed):
        self.rules = []
        for rule in rules:
            match, _, answers = rule.partition("=")
            if not answers:
                sys.exit(f"--rule {rule}: expected MATCH=ANSWERS")
            self.rules.append((match, answers.split("+")))
        self.random = None if seed is None else random.Random(seed)
        self.lock = threading.Lock()

    def answer(self, kind, control):
        with self.lock:
            for match, answers in self.rules:
                if match in ("*", kind, f"{kind}/{control}"):
                    return answers.pop(0) if len(answers) > 1 else answers[0]
            if self.random is not None and self.random.random() < 0.4:
                return self.random.choice(FAULTS)
        return "AA"


class Recorder:
    def __init__(self, path):
        self.file = open(path, "a", encoding="utf-8") if path else None
        self.lock = threading.Lock()

    def record(self, message, text, answer):
        if self.file is None:
            return
        entry = {
            "time": time.time(),
            "control_id": field(message, "MSH", 10),
            "type": field(message, "MSH", 9),
            "text": text,
            "answer": answer,
        }
        with self.lock:
            self.file.write(json.dumps(entry) + "\n")
            self.file.flush()


def field(message, segment, number):
    try:
        return str(message.segment(segment)[number])
    except (KeyError, IndexError):
        return ""


def acknowledge(message, answer):
    """The acknowledgement's text, for the answers that are one."""
    code, _, error = answer.partition(":")
    if code in ("late", "twice", "wrong-id"):
        code, error = "AA", ""
    acknowledgement = message.create_ack(code)
    if answer == "wrong-id":
        acknowledgement.segment("MSA")[2] = "ANOTHER-ONE"
    text = str(acknowledgement)
    if error:
        old = field(message, "MSH", 12) in ("2.1", "2.2", "2.3", "2.3.1", "2.4")
        text += f"ERR|^^^{error}&Error&HL70357\r" if old else f"ERR|||{error}^Error^HL70357|E\r"
    return text


def choose(rules, recorder, text):
    message = hl7.parse(text)
    # The third component, the structure, is left out of account.
    kind = "^".join(field(message, "MSH", 9).split("^")[:2])
    answer = rules.answer(kind, field(message, "ORC", 1))
    recorder.record(message, text, answer)
    return message, answer


async def converse(reader, writer, rules, recorder):
    """One connection of the package hl7: message after message."""
    try:
        while True:
            block = await reader.readblock()
            # MSH is the first segment, and ASCII up to its 18th field.
            header = block.split(b"\r", 1)[0].decode("latin-1").split("|")
            declared = header[17] if len(header) > 17 else ""
            encoding = CHARACTER_SETS.get(declared, "utf-8")
            message, answer = choose(rules, recorder, block.decode(encoding))
            if answer == "close":
                break
            if answer == "silent":
                continue
            if answer == "garbage":
                writer.write(b"500 what is this?\r\n")
                await writer.drain()
                continue
            if answer.startswith("late:"):
                await asyncio.sleep(float(answer[5:]))
            acknowledgement = acknowledge(message, answer).encode(encoding)
            if answer == "twice":
                # In one piece, that both are there when the first is read.
                writer.write((START.encode() + acknowledgement + END.encode()) * 2)
            else:
                writer.writeblock(acknowledgement)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
        pass
    except (InvalidBlockError, ValueError, hl7.ParseException) as error:
        print(f"refused: {error}", file=sys.stderr, flush=True)
    finally:
        writer.close()


def tls_context(options):
    if not options.tls_certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.tls_certificate, options.tls_key)
    if options.tls_client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(options.tls_client_ca)
    return context


async def serve_hl7(port, rules, recorder, context):
    server = await start_hl7_server(
        lambda reader, writer: converse(reader, writer, rules, recorder),
        "127.0.0.1", port, limit=16 << 20, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class Handler(AbstractHandler):
    """One message of the package hl7apy."""

    def __init__(self, message, rules, recorder):
        super().__init__(message)
        self.rules, self.recorder = rules, recorder

    def reply(self):
        message, answer = choose(self.rules, self.recorder, self.incoming_message)
        if answer == "close":
            return ""
        if answer == "silent":
            time.sleep(3600)
        if answer == "garbage":
            return "500 what is this?\r\n"
        if answer.startswith("late:"):
            time.sleep(float(answer[5:]))
        framed = START + acknowledge(message, answer) + END
        return framed * 2 if answer == "twice" else framed


class EveryType(dict):
    """The same handler for every type of message."""

    def __missing__(self, kind):
        if kind == "ERR":
            raise KeyError(kind)
        return self["*"]


def serve_hl7apy(port, rules, recorder):
    handlers = EveryType({"*": (Handler, rules, recorder)})
    server = MLLPServer("127.0.0.1", port, handlers, timeout=60)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", choices=["hl7", "hl7apy"], default="hl7")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--record")
    parser.add_argument("--rule", action="append", default=[])
    parser.add_argument("--random", type=int)
    parser.add_argument("--tls-certificate")
    parser.add_argument("--tls-key")
    parser.add_argument("--tls-client-ca")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    rules, recorder = Rules(options.rule, options.random), Recorder(options.record)
    if options.peer == "hl7":
        asyncio.run(serve_hl7(options.port, rules, recorder, tls_context(options)))
    else:
        serve_hl7apy(options.port, rules, recorder)


if __name__ == "__main__":
    main()
