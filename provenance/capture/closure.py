"""The include closure of an fcl file: every file that art opens, with its exact bytes.

It follows the reference includer (fhicl-cpp's `intermediate_table` reading, as facts of its
behaviour): the main file is looked up in "./" and then in FHICL_FILE_PATH, absolute names as they
are; included files in FHICL_FILE_PATH only, even absolute ones, which are glued behind each folder.
Values are not evaluated here; the service does that.
"""

import os
import re

from jobprov.provenance.capture import regular

_INCLUDE = re.compile(rb"^#include \"(.+)\"$", re.DOTALL)
_NAME = re.compile(rb"^process_name[ \t]*:[ \t]*[\"']?([\w-]+)")
_MOST_FILES, _MOST_PROBLEMS = 5000, 20


class Closure:
    """Opens one configuration.

    Attributes:
        files: record entries (name, path, found_in), in the order first opened, each once.
        contents: path -> bytes.
        problems: sentences about what art will not find either.
    """

    def __init__(self, main, search_path):
        self.search_path = search_path
        self.files, self.contents, self.problems = [], {}, []
        self._includes = {}  # path as opened -> included names, each file read once
        self._main = None
        path, index = self._locate_main(main)
        if path is None:
            self.problems.append("fcl file {} is neither here nor in FHICL_FILE_PATH".format(main))
            return
        self._main = path
        self._open(main, path, index)
        self._follow(path)

    def process_name(self):
        """Return the name that the last assignment at column 0 gives, includes followed, prologs left out; None without one."""
        stack, entered = [iter(reversed(self._marks(self._main)))], {self._main}
        while stack:
            is_include, word = next(stack[-1], (None, None))
            if is_include is None:
                stack.pop()
            elif not is_include:
                return word
            else:
                path, _ = self._search(word)
                if path not in entered:
                    entered.add(path)
                    stack.append(iter(reversed(self._marks(path))))
        return None

    def _marks(self, path):
        """Return [(True, included name) or (False, process name)] of a file, outside prologs, in order."""
        content, marks, is_prolog = self.contents.get(_shown(path), b""), [], False
        if b"process_name" not in content and b"#include" not in content:
            return marks
        for line in content.replace(b"\r", b"\n").split(b"\n"):
            if line.startswith((b"BEGIN_PROLOG", b"END_PROLOG")):
                is_prolog = line.startswith(b"BEGIN")
            elif not is_prolog:
                named = _NAME.match(line)
                marks.extend(
                    [(False, named.group(1).decode())]
                    if named
                    else [(True, name) for name in included_names(line)]
                )
        return marks

    def _follow(self, main):
        """Walk the includes depth first, as the includer does.

        Without recursion, since names come from files.
        """
        stack = [iter(self._includes[main])]
        while stack and len(self.files) < _MOST_FILES:
            name = next(stack[-1], None)
            if name is None:
                stack.pop()
                continue
            path, index = self._search(name)
            if path is None:
                self._problem('include "{}" is not in FHICL_FILE_PATH'.format(name))
            elif path not in self._includes:
                self._open(name, path, index)
                stack.append(iter(self._includes.get(path, ())))

    def _open(self, name, path, index):
        try:
            content = regular.read(path)  # a folder opens and gives no lines, as there
        except OSError as error:
            self._problem("fcl file {} cannot be read: {}".format(path, error.strerror))
            content = None
        if content is None:
            self._includes[path] = []
            return
        entry = {"name": name, "path": _shown(path)}
        if index is not None:
            entry["found_in"] = index
        self.files.append(entry)
        self._includes[path], self.contents[entry["path"]] = included_names(content), content

    def _locate_main(self, name):
        if name.startswith("/"):
            return (name, None) if os.path.exists(name) else (None, None)
        if os.path.exists("./" + name):
            return "./" + name, None
        return self._search(name)

    def _search(self, name):
        for index, folder in enumerate(self.search_path):
            path = re.sub("/+", "/", folder + "/" + name)
            if os.path.exists(path):
                return path, index
        return None, None

    def _problem(self, sentence):
        if sentence not in self.problems and len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(sentence)


def _shown(path):
    return path[2:] if path.startswith("./") else path


def search_path(environment):
    """Return the folders of FHICL_FILE_PATH.

    Empty components drop out, unset means the working folder, as in art.
    """
    if "FHICL_FILE_PATH" not in environment:
        return ["."]
    return [folder for folder in environment["FHICL_FILE_PATH"].split(":") if folder]


def included_names(content):
    """Return the names that a file's `#include` lines ask for.

    Malformed lines, which art refuses, give none.
    """
    if b"#include" not in content:
        return []
    names = []
    for line in content.replace(b"\r", b"\n").split(b"\n"):
        match = _INCLUDE.match(line.rstrip(b" \t\r\n"))
        if match:
            names.append(os.fsdecode(match.group(1)))
    return names
