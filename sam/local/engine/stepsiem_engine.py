"""Plugin for the local AWS engine (LocalEmu): runs a function's own bootstrap as a child process, without Docker, and
corrects what differs from AWS. It is put on the engine's PYTHONPATH beside entry_points.txt."""

import atexit
import json
import math
import os
import queue
import resource
import shutil
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import psutil
from localemu.runtime import hooks
from localemu.services.lambda_.invocation.lambda_models import InvocationResult
from localemu.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localemu.services.lambda_.invocation.runtime_executor import RuntimeExecutor


class RuntimeAPI(BaseHTTPRequestHandler):
    """The Lambda Runtime API of one execution environment.
    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html"""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        ex = self.server.executor
        ex.ready_at = ex.ready_at or time.monotonic()
        p = ex.requests.get()
        if p is None:
            return self.answer(410)
        self.answer(200, p["payload"].encode(), (
            ("Content-Type", "application/json"),
            ("Lambda-Runtime-Aws-Request-Id", p["invoke-id"]),
            ("Lambda-Runtime-Deadline-Ms", str(p["deadline"])),
            ("Lambda-Runtime-Invoked-Function-Arn", p["invoked-function-arn"]),
            ("Lambda-Runtime-Trace-Id", p["trace-id"])))

    def do_POST(self):
        body = self.body()
        self.answer(202, b"{}")
        *_, request_id, verb = self.path.split("/")
        self.server.executor.responses.put((request_id, verb == "error", body))

    def body(self):
        if "chunked" not in (self.headers.get("Transfer-Encoding") or ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []  # aws-lambda-go streams its answers
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass
        return b"".join(parts)


class ProcessExecutor(RuntimeExecutor):
    """One execution environment: a child process that serves one invocation after the other."""

    process = None

    def start(self, env_vars):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), RuntimeAPI)
        self.server.daemon_threads, self.server.executor = True, self
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.code = self.function_version.config.code.get_unzipped_code_location()
        self.tmp = tempfile.mkdtemp(prefix="function-")  # on AWS, too, /tmp belongs to one environment
        self.env = {
            "PATH": os.environ["PATH"], "HOME": self.tmp, "TMPDIR": self.tmp,
            **{k: str(v) for k, v in env_vars.items() if v is not None},
            "LAMBDA_TASK_ROOT": str(self.code),
            "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:%d" % self.server.server_address[1]}
        self.spawn()

    def spawn(self):
        """Starts the bootstrap in the engine's process group, so that it ends with the engine."""
        self.requests, self.responses = queue.Queue(), queue.Queue()
        self.spawned_at, self.ready_at, self.cold = time.monotonic(), None, True
        bootstrap = self.code / "bootstrap"
        bootstrap.chmod(0o755)
        path = os.path.join(self.tmp, "output.log")
        with open(path, "ab") as out:  # append mode: reading elsewhere does not move where the child writes
            self.log_at = out.tell()
            self.process = subprocess.Popen([str(bootstrap)], cwd=self.code, env=self.env,
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        atexit.register(self.process.kill)

    def stop(self):
        if self.process:
            self.requests.put(None)
            self.kill()
            self.server.shutdown()
            self.server.server_close()
            shutil.rmtree(self.tmp, ignore_errors=True)

    def kill(self):
        self.process.kill()
        self.process.wait()
        atexit.unregister(self.process.kill)

    def invoke(self, payload, *args, **kwargs):
        request_id, timeout = payload["invoke-id"], float(self.function_version.config.timeout or 3)
        if self.process.poll() is not None:  # it crashed or was stopped by its timeout
            self.spawn()
        cold, self.cold = self.cold, False
        begin, init, peak = time.monotonic(), 0.0, 0
        self.requests.put({**payload, "deadline": int((time.time() + timeout) * 1000)})
        while True:
            left = begin + timeout - time.monotonic()
            try:
                answered, failed, body = self.responses.get(timeout=min(0.25, max(0.01, left)))
                if answered in (request_id, "init"):
                    peak = self.peak_memory()
                    break
            except queue.Empty:
                peak = self.peak_memory() or peak
                if self.process.poll() is not None:
                    failed, body = True, self.failure(request_id, "Runtime.ExitError",
                                                      f"Runtime exited with error: {self.exit_reason()}")
                    break
                if left <= 0:
                    self.kill()
                    failed, body = True, self.failure(request_id, "Sandbox.Timedout",
                                                      f"Task timed out after {timeout:.2f} seconds")
                    break
        end = time.monotonic()
        if cold and self.ready_at:
            init, begin = self.ready_at - self.spawned_at, max(begin, self.ready_at)
        return InvocationResult(request_id=request_id, payload=body, is_error=failed,
                                logs=self.log(request_id, (end - begin) * 1000, init * 1000, peak),
                                executed_version=self.function_version.id.qualifier)

    @staticmethod
    def failure(request_id, kind, text):
        return json.dumps({"errorType": kind, "errorMessage": f"RequestId: {request_id} Error: {text}"}).encode()

    def exit_reason(self):
        code = self.process.returncode
        return f"exit status {code}" if code >= 0 else f"signal: {-code}"

    def peak_memory(self):
        """Most memory the process ever held, in MB; 0 when it is gone."""
        try:
            with open(f"/proc/{self.process.pid}/status") as f:
                return next((int(line.split()[1]) // 1024 for line in f if line.startswith("VmHWM")), 0)
        except OSError:
            pass
        try:
            return psutil.Process(self.process.pid).memory_info().rss >> 20
        except psutil.Error:
            return 0

    def log(self, request_id, ms, init_ms, peak):
        """What the function wrote since the last invocation, between Lambda's own lines."""
        with open(os.path.join(self.tmp, "output.log"), "rb") as f:
            f.seek(self.log_at)
            written = f.read()
        self.log_at += len(written)
        text = written.decode(errors="replace")
        if text and not text.endswith("\n"):
            text += "\n"
        report = [f"REPORT RequestId: {request_id}", f"Duration: {ms:.2f} ms",
                  f"Billed Duration: {math.ceil(ms + init_ms)} ms",
                  f"Memory Size: {self.function_version.config.memory_size} MB", f"Max Memory Used: {peak} MB"]
        if init_ms:
            report.append(f"Init Duration: {init_ms:.2f} ms")
        return f"START RequestId: {request_id} Version: $LATEST\n{text}END RequestId: {request_id}\n" + "\t".join(report) + "\t\n"

    def get_address(self):
        return "127.0.0.1"

    def get_endpoint_from_executor(self):
        return "127.0.0.1"

    def get_runtime_endpoint(self):
        return "http://127.0.0.1/_localemu_lambda/" + self.id  # ours is AWS_LAMBDA_RUNTIME_API

    def get_logs(self):
        return ""

    @classmethod
    def prepare_version(cls, function_version):
        if function_version.config.code:
            function_version.config.code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version):
        pass


class ProcessExecutorPlugin(RuntimeExecutorPlugin):
    name = "process"

    def load(self, *args, **kwargs):
        return ProcessExecutor


@hooks.on_infra_start()
def install_jsonata():
    """The engine hands over one self-contained expression at a time; its own evaluator wants a JVM."""
    import jsonata
    from localemu.services.stepfunctions.asl.component.common.string import string_expression
    from localemu.services.stepfunctions.asl.jsonata import jsonata as engine, validations

    def plain(v):  # whole numbers come back as floats in places, arrays as tuples or lists of its own
        if isinstance(v, float) and math.isfinite(v) and v == int(v) and abs(v) < 2**53:
            return int(v)
        if isinstance(v, dict):
            return {str(k): plain(x) for k, x in v.items()}
        if isinstance(v, (list, tuple)):
            return [plain(x) for x in v]
        return v

    def evaluate(expression):
        try:
            return plain(jsonata.Jsonata(expression).evaluate(None))
        except Exception as e:
            raise engine.JSONataException("UNKNOWN", str(e))

    for module in (engine, validations, string_expression):
        module.eval_jsonata_expression = evaluate


@hooks.on_infra_start()
def hurry_deployments():
    """CloudFormation looks every second whether a resource is done; most take a few milliseconds."""
    import inspect

    from localemu.services.cloudformation.resource_provider import ResourceProviderExecutor

    loop = ResourceProviderExecutor.deploy_loop
    names = [p.name for p in inspect.signature(loop).parameters.values() if p.default is not p.empty]
    loop.__defaults__ = tuple(0.1 if n == "sleep_time" else d for n, d in zip(names, loop.__defaults__))


@hooks.on_infra_start()
def own_s3_storage():
    """Objects would lie in one folder under /tmp for all engines of this machine, each large one an open file."""
    from localemu.services.s3 import provider

    provider.DEFAULT_S3_TMP_DIR = os.path.join(tempfile.gettempdir(), "s3")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (16384 if most == resource.RLIM_INFINITY else most, most))


@hooks.on_infra_start()
def correct_s3_events():
    """In EventBridge events of AWS a key is not URL-encoded, and the sequencer grows."""
    from localemu.services.s3.notifications import EventBridgeNotifier

    made = EventBridgeNotifier._get_event_payload

    def corrected(ctx, config_id=None):
        entry = made(ctx, config_id)
        detail = json.loads(entry["Detail"])
        o = detail["object"]
        o["key"] = unquote(o["key"])
        if "sequencer" in o:
            o["sequencer"] = f"{time.time_ns():018X}"
        entry["Detail"] = json.dumps(detail)
        return entry

    EventBridgeNotifier._get_event_payload = staticmethod(corrected)


@hooks.on_infra_start()
def call_custom_resources():
    """The engine skips custom resources; here CloudFormation invokes their function and waits for its answer, as on AWS.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html"""
    from localemu.services.cloudformation.resource_provider import (OperationStatus, ProgressEvent, ResourceProvider,
                                                                    ResourceProviderExecutor)

    def texts(v):  # CloudFormation hands every scalar over as a string
        if isinstance(v, dict):
            return {k: texts(x) for k, x in v.items()}
        if isinstance(v, list):
            return [texts(x) for x in v]
        return str(v).lower() if isinstance(v, bool) else str(v)

    class CustomResource(ResourceProvider):
        SCHEMA = {"primaryIdentifier": ["/properties/PhysicalResourceId"]}

        def create(self, request):
            return self.call(request, "Create")

        def update(self, request):
            return self.call(request, "Update")

        def delete(self, request):
            return self.call(request, "Delete")

        def call(self, request, kind):
            state, old = request.desired_state or {}, request.previous_state or {}
            properties = {k: v for k, v in state.items() if k != "PhysicalResourceId"}
            answers = queue.Queue()

            class Answer(BaseHTTPRequestHandler):
                def log_message(self, *args):
                    pass

                def do_PUT(self):
                    answers.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                    self.send_response(200)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
                threading.Thread(target=server.serve_forever, daemon=True).start()
                event = {
                    "RequestType": kind, "RequestId": f"{time.time_ns()}", "StackId": request.stack_id,
                    "ResponseURL": "http://127.0.0.1:%d/" % server.server_address[1],
                    "ResourceType": request.resource_type, "LogicalResourceId": request.logical_resource_id,
                    "ResourceProperties": texts(properties)}
                if kind != "Create":
                    event["PhysicalResourceId"] = (old or state).get("PhysicalResourceId", "")
                if kind == "Update":
                    event["OldResourceProperties"] = texts({k: v for k, v in old.items() if k != "PhysicalResourceId"})
                client = request.aws_client_factory.lambda_
                client.get_waiter("function_active_v2").wait(FunctionName=properties["ServiceToken"], WaiterConfig={"Delay": 1})
                out = client.invoke(FunctionName=properties["ServiceToken"], Payload=json.dumps(event).encode())
                if out.get("FunctionError"):
                    said = out["Payload"].read().decode(errors="replace")
                    answer = {"Status": "FAILED", "Reason": said}
                else:
                    answer = answers.get(timeout=10)
                server.shutdown()
            if answer["Status"] != "SUCCESS":
                return ProgressEvent(status=OperationStatus.FAILED, resource_model={}, message=answer.get("Reason", "no reason"))
            model = {**properties, **(answer.get("Data") or {}), "PhysicalResourceId": answer["PhysicalResourceId"]}
            return ProgressEvent(status=OperationStatus.SUCCESS, resource_model=model)

    found = ResourceProviderExecutor.try_load_resource_provider

    def load(resource_type):
        if resource_type and resource_type.startswith(("Custom::", "AWS::CloudFormation::CustomResource")):
            return CustomResource()
        return found(resource_type)

    ResourceProviderExecutor.try_load_resource_provider = staticmethod(load)
