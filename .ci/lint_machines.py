"""Lints state machines as cfn-lint does (E3601) when they stand in a template, which ours do not: they are DefinitionUri files."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ARN = "arn:aws:lambda:us-east-1:123456789012:function:any"


def resource(path):
    definition = json.loads(re.sub(r"\$\{\w+\}", ARN, Path(path).read_text()))
    return {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {"RoleArn": "arn:aws:iam::123456789012:role/any", "Definition": definition},
    }


template = {"Resources": {Path(p).name.split(".")[0].title(): resource(p) for p in sys.argv[1:]}}
with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
    json.dump(template, f)
    f.flush()
    # No warnings: literal ARNs are right here.
    sys.exit(subprocess.run([Path(sys.executable).with_name("cfn-lint"), "--ignore-checks", "W", "--", f.name]).returncode)
