"""Configuration of Sphinx: `make docs` builds docs/_build/html. Nothing is fetched from the network."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_ext"))

project = "rmaat"
author = "The rmaat developers"
copyright = "the rmaat developers, MIT licence"
release = version = version_of("rmaat")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
    "docstrings",  # docs/_ext: units of settings, equations of docstrings as they stand
    "mathml",  # docs/_ext: equations without scripts
    "notebook",  # docs/_ext: the tour
]
exclude_patterns = ["_build", "_ext", "gallery/*.py", "gallery/*.ipynb", "gallery/*.json"]
root_doc = "index"
language = "en"

myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["math"]  # ```math, as forges render it
myst_heading_anchors = 4
myst_dmath_double_inline = False
myst_links_external_new_tab = False

default_role = "obj"
highlight_language = "none"  # indented blocks hold equations and commands; fenced ones say what they are
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say types and shapes
autodoc_default_options = {"members": True, "exclude-members": "model_config, model_post_init"}
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_custom_sections = [("Source", "notes")]
# Types in docstrings are words ("array, (time, level)"), and there is no inventory of other projects offline.
nitpick_ignore_regex = [("py:class", r"(?!(astro_sim|bridge|rmaat|analysis)\.).*")]
add_module_names = False
python_use_unqualified_type_names = True

sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"\.py$",
    "ignore_pattern": r"__init__\.py",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 0,
    "remove_config_comments": True,
    "abort_on_example_error": False,
    "only_warn_on_example_error": False,
    "plot_gallery": True,
    "backreferences_dir": None,
    "write_computation_times": False,
    "capture_repr": (),  # what is printed, not what the last call of a plot returns
    "matplotlib_animations": False,
}

html_theme = "furo"
html_title = f"rmaat {release}"
html_static_path = ["_static"]
html_css_files = ["local.css"]
html_js_files = ["accessible.js"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"sidebar_hide_name": False, "navigation_with_keys": False}
pygments_style = "default"
pygments_dark_style = "monokai"
