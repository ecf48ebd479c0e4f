# ruff: noqa: N802 - functions have the names that Windows gave them
"""advapi32, kernel32 and crypt32, which are stand-ins: they check their arguments, and know what must be freed."""

import ctypes
from pathlib import Path
from typing import Any


SID = "S-1-5-21-1-2-3-500"


class Function:
    """A function of a library, which ctypes lets declare its types."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.argtypes: tuple[Any, ...] = ()
        self.restype: Any = None

    def __call__(self, *arguments: Any) -> Any:
        assert len(arguments) == len(self.argtypes)
        return self.call(*arguments)


class Windows:
    """advapi32, kernel32 and crypt32 as far as rotator calls them. `memory` is what LocalFree must be called for."""

    def __init__(self) -> None:
        self.memory: dict[int, Any] = {}
        self.failing: dict[str, int] = {}
        self.error = 0
        self.made: dict[str, tuple[str, Any]] = {}
        self.closed: list[int] = []

    def library(self, name: str, use_last_error: bool = False) -> Any:
        assert use_last_error or name == "kernel32"
        return self

    def __getattr__(self, name: str) -> Function:
        call = getattr(type(self), f"do_{name}", None)
        if call is None:
            raise AttributeError(name)

        def called(*arguments: Any) -> Any:
            if name in self.failing:
                self.error = self.failing[name]
                failed = {"GetNamedSecurityInfoW": self.error, "CreateFileW": ctypes.c_void_p(-1).value}
                return failed.get(name, 0)
            return call(self, *arguments)

        function = Function(called)
        self.__dict__[name] = function
        return function

    def allocated(self, content: Any) -> int:
        address = ctypes.addressof(content)
        self.memory[address] = content
        return address

    def text(self, text: str) -> int:
        return self.allocated(ctypes.create_unicode_buffer(text))

    def do_GetNamedSecurityInfoW(
        self, path: str, kind: int, what: int, o: Any, g: Any, d: Any, s: Any, out: Any
    ) -> int:
        assert (kind, what, o, g, d, s) == (1, 5, None, None, None, None)
        out._obj.value = self.text(f"O:LAD:P(A;;FA;;;{Path(path).name})")
        return 0

    def do_ConvertSecurityDescriptorToStringSecurityDescriptorW(
        self, descriptor: Any, revision: int, what: int, out: Any, length: Any
    ) -> int:
        assert (revision, what, length) == (1, 5, None)
        out._obj.value = self.text(self.memory[descriptor.value].value.replace(SID, "LA"))
        return 1

    def do_ConvertStringSecurityDescriptorToSecurityDescriptorW(
        self, text: str, revision: int, out: Any, size: Any
    ) -> int:
        assert (revision, size) == (1, None)
        out._obj.value = self.text(text)
        return 1

    def do_ConvertSidToStringSidW(self, sid: Any, out: Any) -> int:
        assert sid.value == 4711
        out._obj.value = self.text(SID)
        return 1

    def do_ConvertStringSidToSidW(self, text: str, out: Any) -> int:
        out._obj.value = self.text(text)
        return 1

    def do_LookupAccountSidW(self, host: Any, sid: Any, name: Any, n: Any, domain: Any, d: Any, kind: Any) -> int:
        assert (host, n._obj.value, d._obj.value) == (None, 256, 256)
        if self.memory[sid.value].value == "S-1-1-0":
            name.value = "Everyone"
            return 1
        name.value, domain.value = "Administrator", "QLIK1"
        return 1

    def do_GetCurrentProcess(self) -> int:
        return -1

    def do_OpenProcessToken(self, process: int, rights: int, out: Any) -> int:
        assert (process, rights) == (-1, 8)
        out._obj.value = 99
        return 1

    def do_GetTokenInformation(self, token: Any, what: int, buffer: Any, size: Any, out: Any) -> int:
        assert (token.value, what) == (99, 1)
        out._obj.value = 44
        if buffer is None:
            self.error = 122
            return 0
        assert (len(buffer), size.value) == (44, 44)
        ctypes.c_void_p.from_buffer(buffer).value = 4711
        return 1

    def do_CloseHandle(self, handle: Any) -> int:
        self.closed.append(handle.value)
        return 1

    def do_LocalFree(self, pointer: Any) -> int:
        # Freed twice is an error here too.
        del self.memory[getattr(pointer, "value", pointer)]
        return 0

    def do_CreateDirectoryW(self, path: str, attributes: Any) -> int:
        self.made[path] = (self.memory[attributes._obj.descriptor].value, attributes._obj.inherit)
        return 1

    def do_CreateFileW(
        self, path: str, access: int, share: int, attributes: Any, how: int, flags: int, template: Any
    ) -> int:
        assert (access, share, how, flags, template) == (0x40000000, 0, 1, 0x80, None)
        self.made[path] = (self.memory[attributes._obj.descriptor].value, attributes._obj.inherit)
        return 5

    def _data(self, blob: Any) -> bytes:
        return ctypes.string_at(blob._obj.data, blob._obj.size)

    def _give(self, out: Any, data: bytes) -> int:
        out._obj.size, out._obj.data = len(data), self.allocated(ctypes.create_string_buffer(data, len(data)))
        return 1

    def do_CryptProtectData(self, data: Any, said: str, entropy: Any, r: Any, prompt: Any, flags: int, out: Any) -> int:
        assert (said, r, prompt) == ("rotator", None, None)
        return self._give(out, bytes([flags]) + self._data(entropy) + self._data(data))

    def do_CryptUnprotectData(
        self, data: Any, said: Any, entropy: Any, r: Any, prompt: Any, flags: int, out: Any
    ) -> int:
        assert (said, r, prompt, flags) == (None, None, None, 1)
        return self._give(out, self._data(data)[1:].removeprefix(self._data(entropy)))


def win_error(code: int) -> OSError:
    kind = {5: PermissionError, 183: FileExistsError}.get(code, OSError)
    error = kind(22, f"Windows says {code}")
    error.winerror = code  # type: ignore[attr-defined]
    return error
