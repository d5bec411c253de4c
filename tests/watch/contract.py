"""Holds the OpenAPI document of a watch against the specification, and answers against the document.

Standard input: {"document": …, "answers": [{"path", "method", "status", "body"}]}. Ends with 1 where something does not fit.
"""

import json
import sys

from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

given = json.load(sys.stdin)
document = given["document"]
problems = [f"document: {error.message} at {list(error.path)}" for error in OpenAPIV31SpecValidator(document).iter_errors()]

registry = Registry().with_resource("urn:document", Resource(contents=document, specification=DRAFT202012))
for answer in given["answers"]:
    operation = document["paths"][answer["path"]][answer["method"]]
    told = operation["responses"].get(str(answer["status"]), operation["responses"]["default"])
    schema = told["content"]["application/json"]["schema"]
    # References start at the document.
    schema = json.loads(json.dumps(schema).replace('"#/', '"urn:document#/'))
    for error in Draft202012Validator(schema, registry=registry).iter_errors(answer["body"]):
        problems.append(f"{answer['method']} {answer['path']} {answer['status']}: {error.message} at {list(error.path)}")

print("\n".join(problems) or f"{len(given['answers'])} answers fit")
sys.exit(1 if problems else 0)
