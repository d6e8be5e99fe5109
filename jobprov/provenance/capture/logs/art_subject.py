"""What a failure of art is about besides a module: a product, a parameter, a library, a plugin.

Sources: art's Principal, ProductInserter, ProductRetriever and ProducesCollector, gallery, and the
`Looking for` lines of art 1 and 2 (products); cet::LibraryManager and dlerror (libraries); the
configuration checks of fhicl-cpp (parameters).
"""

import re
from typing import Dict, List, Optional, Sequence

from jobprov.provenance.capture.record.json_objects import Finding

_PRODUCT_LINE = re.compile(
    r"^(?:Looking for )?([A-Za-z][A-Za-z+ ]{2,40}?)\s*[:=](?!:)\s*'?([^'\n]*?)'?$"
)
_PRODUCT_KEYS = {
    "c++type": "type",
    "classname": "type",
    "productclassname": "type",
    "type": "type",
    "sequenceoftype": "type",
    "friendlyclassname": "friendly",
    "productfriendlyclassname": "friendly",
    "modulelabel": "label",
    "module": "label",
    "productinstancename": "instance",
    "productinstance": "instance",
    "processname": "process",
    "process": "process",
}
_BRANCH = re.compile(r"^(?:Branch|Product) (?:type|ID)\s*[:=]", re.IGNORECASE)
_NOTHING = frozenset(["", "(empty)", "(any)"])
_ABOUT_PRODUCTS = re.compile(
    r"(?:Found|getView: Found|getByLabel: Found) (?:zero|no) products|more than one product"
    r"|Failed to find product for|No product is registered for|declared with 'produce"
    r"|declare the following product|Looking for (?:sequence of )?type"
)
_ASKED = re.compile(r"(?:Found|Failed to find|Looking for)")
_RESOLVED = re.compile(
    r"request to resolve an? .{0,80}?\bof type:? '?([\w:<>,* ]+?)'?"
    r"(?: with ProductID\b| can ?not\b|[ \t]*$)",
    re.MULTILINE,
)
_PARAMETER = re.compile(r"FHiCL parameter '([^'\n]+)'")
_LIST = re.compile(r"^(?:Missing|Unsupported) parameters:$")
_LISTED = re.compile(r"^[-+]\s*([\w.\[\]]+)")
_NO_KEY = re.compile(r"^([\w.\[\]]+)(?: \(at part \"|$)")
_LIBRARY = re.compile(r"requested (?:library|symbol \S+ from library) (\S+)")
_SYMBOL = re.compile(r"undefined symbol: (\S+)")
_PLUGIN = re.compile(r"Library specification \"([^\"\n]+)\"(?:[^\n]*of type \"(\w+)\")?")
_PLUGIN_LIBRARY = re.compile(r"^lib(?:.*_)?([^\W_]+)_([a-z][A-Za-z]*)\.(?:so|dylib)")
_PATHS = re.compile(r"^[ \t]*(/\S+_[a-zA-Z]+\.(?:so|dylib))[ \t]*$", re.MULTILINE)
_MOST = 3  # of a list


class Plugin:
    """What art loads from a library: its class, as specified, and its kind, such as `module`."""

    def __init__(self, name: str, kind: str) -> None:
        self.name, self.kind = name, kind


def about(body: str) -> Finding:
    """Return what a text is about: {product, parameter, library, symbol, plugin}, what it has."""
    lines = [line.strip() for line in body.split("\n")]
    parameters = _parameters(lines) or _PARAMETER.findall(body)
    library, symbol, plugin = _LIBRARY.search(body), _SYMBOL.search(body), _PLUGIN.search(body)
    fields = {
        "product": _product(body, lines),
        "parameter": ", ".join(parameters[:_MOST]),
    }
    for name, match in (("library", library), ("symbol", symbol), ("plugin", plugin)):
        if match:
            fields[name] = match.group(1)
    return {name: value for name, value in fields.items() if value}


def _product(body: str, lines: Sequence[str]) -> Optional[str]:
    """Return the products that a text is about: those that it lists, or what a Ptr points to."""
    if _ABOUT_PRODUCTS.search(body):
        return say_products(lines)
    resolved = _RESOLVED.search(body)
    return resolved.group(1) if resolved else None


def say_products(lines: Sequence[str]) -> Optional[str]:
    """Return the products that a text lists.

    As `std::vector<recob::Hit> of gaushit:instance:process`.
    """
    products: List[Dict[str, str]] = []
    is_asked = any(_ASKED.search(line) for line in lines)
    for line in lines:
        match, key = _PRODUCT_LINE.match(line), _product_key(line)
        if match is None or key is None:
            continue
        if not products or key in products[-1]:
            products.append({})
        products[-1][key] = match.group(2).strip()
    said = [words for words in (_say(product, is_asked=is_asked) for product in products) if words]
    if len(said) > _MOST:
        said[_MOST:] = ["and {} more".format(len(said) - _MOST)]
    return ", ".join(said) or None


def without_products(lines: Sequence[str]) -> List[str]:
    """Return the lines that do not only describe a product."""
    return [line for line in lines if _product_key(line) is None and not _BRANCH.match(line)]


def _product_key(line: str) -> Optional[str]:
    match = _PRODUCT_LINE.match(line)
    return _PRODUCT_KEYS.get(match.group(1).replace(" ", "").lower()) if match else None


def _say(product: Dict[str, str], *, is_asked: bool) -> str:
    kind = product.get("type") or product.get("friendly") or ""
    tag = ":".join(_known(product, key) for key in ("label", "instance", "process")).rstrip(":")
    if not is_asked and _known(product, "instance"):
        return "{} instance {}".format(kind, product["instance"])  # of the module itself
    if not is_asked or not tag:
        return kind
    return "{} of {}".format(kind, tag)


def _known(product: Dict[str, str], key: str) -> str:
    value = product.get(key, "")
    return "" if value in _NOTHING else value


def _parameters(lines: Sequence[str]) -> List[str]:
    """Return the keys that a configuration check misses or does not know."""
    keys, is_listed = [], False
    for line in lines:
        if _LIST.match(line):
            is_listed = True
        elif is_listed:
            match = _LISTED.match(line)
            keys += [match.group(1)] if match else []
    return keys


def missing_key(lines: Sequence[str]) -> Optional[str]:
    """Return the key that a `Can't find key` is about: its first word, or that of a reference."""
    match = _NO_KEY.match(lines[0]) if lines else None
    return match.group(1) if match else None


def linked(message: str) -> Dict[str, str]:
    """Return {library, symbol} of the linker's `LIBRARY: undefined symbol: SYMBOL`."""
    library = message.partition(": ")[0]
    symbol = _SYMBOL.search(message)
    fields = {"library": library} if ".so" in library or ".dylib" in library else {}
    if symbol:
        fields["symbol"] = symbol.group(1)
    return fields


def plugin_of(library: str) -> Optional[Plugin]:
    """Return the plugin that a library holds: `libexp_Reco_Fit_module.so` the module `Fit`."""
    match = _PLUGIN_LIBRARY.match(library.rpartition("/")[2])
    return Plugin(*match.groups()) if match else None


def plugin_looked_for(body: str) -> Optional[Plugin]:
    """Return the plugin whose library art did not find, found twice, or could not load."""
    named, library = _PLUGIN.search(body), _LIBRARY.search(body)
    if named and named.group(2):
        return Plugin(named.group(1), named.group(2))
    candidates = _PATHS.findall(body) if named else []
    if library:
        candidates.append(library.group(1))
    for candidate in candidates:
        plugin = plugin_of(candidate)
        if plugin:
            return Plugin(named.group(1), plugin.kind) if named else plugin
    return None
