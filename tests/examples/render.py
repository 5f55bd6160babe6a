"""Renders templates as Ansible's module `template` does: render.py TEMPLATES VARS OUT [KEY=VALUE...]"""

import pathlib
import sys

import jinja2
import yaml

templates, variables, out = map(pathlib.Path, sys.argv[1:4])
values = yaml.safe_load(variables.read_text())
for setting in sys.argv[4:]:
    key, value = setting.split("=", 1)
    if key not in values:
        sys.exit(f"{variables} has no {key}")
    values[key] = value

environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(templates),
    trim_blocks=True,
    keep_trailing_newline=True,
    undefined=jinja2.StrictUndefined,
)
for template in sorted(templates.iterdir()):
    if template.suffix != ".j2":
        sys.exit(f"{template} is no template")
    (out / template.stem).write_text(environment.get_template(template.name).render(values))
