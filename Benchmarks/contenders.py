"""The programs that take part: each a server that is started, sent to, and ended by its pid."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

# Some Debian programs live where PATH of an ordinary user does not reach.
PATH = os.environ.get("PATH", "") + ":/usr/bin:/usr/sbin"


def program(name):
    return shutil.which(name, path="/usr/bin:/usr/sbin:" + PATH)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def file_system(path):
    return subprocess.run(["stat", "-f", "-c", "%T", str(path)], capture_output=True,
                          text=True).stdout.strip()


def dcmtk_version():
    if not program("storescu"):
        return "no DCMTK"
    text = subprocess.run([program("storescu"), "--version"], capture_output=True, text=True)
    return " ".join(text.stdout.split()[1:4])


def status_kilobytes(pid, field):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise RuntimeError(f"/proc/{pid}/status has no {field}")


def environment(nagle):
    """DCMTK as built by Debian leaves Nagle's algorithm on, at both ends. With delayed
    acknowledgements it waits some 100 ms an object, whatever the other side does: it is off
    unless that is what is to be measured."""
    result = dict(os.environ)
    result.pop("TCP_NODELAY", None)
    if not nagle:
        result["TCP_NODELAY"] = "1"
    return result


class Server:
    """A storage provider. Its directory is its own and new."""

    title = ""
    ae_title = "ANY-SCP"
    # Where its time grows with the square of their number.
    most_objects = 1_000_000

    def __init__(self, directory, arguments, nagle=False):
        self.directory = directory
        self.environment = environment(nagle)
        self.arguments = arguments
        self.port = free_port()

    @classmethod
    def is_available(cls, arguments):
        return all(program(name) for name in cls.programs)

    def __enter__(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log = open(self.directory / "log", "w+")
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=subprocess.STDOUT,
                                        cwd=self.directory, env=self.environment)
        try:
            self.wait_until_it_answers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def failed(self, what):
        self.log.flush()
        text = (self.directory / "log").read_text(errors="replace")[-2000:]
        return RuntimeError(f"{self.title}: {what}\n{text}")

    def wait_until_it_answers(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise self.failed(f"ended with status {self.process.returncode}")
            echo = subprocess.run(
                [program("echoscu"), "-aec", self.ae_title, "127.0.0.1", str(self.port)],
                capture_output=True)
            if echo.returncode == 0:
                return
            time.sleep(0.1)
        raise self.failed("does not answer C-ECHO")

    def store(self, files, count):
        """Seconds that storescu takes to send a directory, all acknowledged."""
        start = time.monotonic()
        sent = subprocess.run(
            [program("storescu"), "-R", "-aec", self.ae_title, "+sd", "127.0.0.1",
             str(self.port), str(files)], capture_output=True, text=True,
            env=self.environment)
        seconds = time.monotonic() - start
        if sent.returncode != 0:
            raise self.failed(f"storescu: {sent.stderr[-2000:]}")
        self.check(count)
        return seconds

    def check(self, count):
        """That what was acknowledged is there."""

    def peak_memory(self):
        """The most memory it ever had resident, in kB."""
        return status_kilobytes(self.process.pid, "VmHWM")


class Syncd(Server):
    title = "syncd"
    ae_title = "VGRSECTEMP"
    programs = ("storescu", "echoscu")

    def configuration(self):
        return ""

    def command(self):
        configuration = self.directory / "config.toml"
        configuration.write_text(f"""\
[daemon]
state_directory = "{self.directory}/state"
[control]
socket = "{self.directory}/control"
monitor_socket = "{self.directory}/monitor"
[archive]
port = {self.port}
minimum_free = "0 B"
{self.configuration()}""")
        (self.directory / "state").mkdir(mode=0o700, exist_ok=True)
        return [str(self.arguments.bin / "syncd"), "--config", str(configuration)]

    def check(self, count):
        kept = sum(1 for f in (self.directory / "state" / "archive").rglob("*.dcm"))
        if kept != count:
            raise self.failed(f"{kept} of {count} objects are in the archive")

    def syncctl(self, *words, timeout=120):
        return subprocess.run(
            [str(self.arguments.bin / "syncctl"), "--socket", str(self.directory / "control"),
             *words], capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)


class StoreSCP(Server):
    title = "DCMTK storescp +B"
    programs = ("storescp", "storescu", "echoscu")
    options = ["+B"]

    def command(self):
        return [program("storescp"), *self.options, "--max-pdu", "131072",
                "-od", str(self.directory), str(self.port)]

    def check(self, count):
        kept = sum(1 for f in self.directory.iterdir() if f.name.startswith("CT."))
        if count > 1 and kept != count:
            raise self.failed(f"{kept} of {count} objects are there")


class Discarding(StoreSCP):
    """Receives and throws away: what the sender and the protocol allow at most."""

    title = "limit: storescp --ignore"
    options = ["--ignore"]

    def check(self, count):
        pass


class DcmQRSCP(Server):
    title = "DCMTK dcmqrscp"
    ae_title = "DCMQRSCP"
    programs = ("dcmqrscp", "storescu", "echoscu")
    most_objects = 1000

    def command(self):
        (self.directory / "storage").mkdir()
        configuration = self.directory / "dcmqrscp.cfg"
        configuration.write_text(f"""\
NetworkTCPPort = {self.port}
MaxPDUSize = 131072
MaxAssociations = 16
HostTable BEGIN
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
{self.ae_title} {self.directory}/storage RW (100, 1024mb) ANY
AETable END
""")
        return [program("dcmqrscp"), "-c", str(configuration)]

    def peak_memory(self):
        """Unknown: every association is a process of its own, gone by now."""
        return float("nan")

    def check(self, count):
        kept = sum(1 for f in (self.directory / "storage").iterdir() if f.suffix == ".dcm")
        if kept != count:
            raise self.failed(f"{kept} of {count} objects are there")


class Orthanc(Server):
    title = "Orthanc"
    ae_title = "ORTHANC"
    programs = ("Orthanc", "storescu", "echoscu")

    def command(self):
        configuration = self.directory / "orthanc.json"
        configuration.write_text(json.dumps({
            "StorageDirectory": str(self.directory / "storage"),
            "IndexDirectory": str(self.directory / "storage"),
            "DicomAet": self.ae_title, "DicomPort": self.port, "HttpPort": free_port(),
            "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
            "DicomAlwaysAllowStore": True, "Plugins": [], "HttpsCACertificates": "",
            "OverwriteInstances": False,
        }))
        return [program("Orthanc"), str(configuration)]


ALL = [Syncd, StoreSCP, Orthanc, DcmQRSCP, Discarding]
