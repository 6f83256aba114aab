/// Modules that a pickle reaches for to run code. Names of other modules are never looked up
/// either, but they occur in honest checkpoints (settings, data types).
const HOSTILE: [&str; 17] = [
    "asyncio",
    "bdb",
    "commands",
    "ctypes",
    "importlib",
    "multiprocessing",
    "nt",
    "os",
    "pdb",
    "posix",
    "pty",
    "runpy",
    "shutil",
    "socket",
    "subprocess",
    "sys",
    "webbrowser",
];
/// Built-in types and functions that checkpoints mention: types of values and keys, `long` and
/// `unicode` by which Python 2 calls `int` and `str`, and `getattr`, by which methods of a training
/// framework's objects are pickled. An attribute of a harmless object is harmless; of the others not
/// even the name is let through.
const HARMLESS: [&str; 20] = [
    "NoneType",
    "bool",
    "bytearray",
    "bytes",
    "complex",
    "dict",
    "float",
    "frozenset",
    "getattr",
    "int",
    "list",
    "long",
    "object",
    "range",
    "set",
    "slice",
    "str",
    "tuple",
    "type",
    "unicode",
];

/// Whether Python would run code of the file's choice through this name.
pub(super) fn runs_code(module: &str, name: &str) -> bool {
    let root = module.split('.').next().unwrap_or(module);
    match root {
        "builtins" | "__builtin__" => !HARMLESS.contains(&name),
        _ => HOSTILE.contains(&root),
    }
}
