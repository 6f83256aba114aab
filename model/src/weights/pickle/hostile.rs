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
/// Built-in types that checkpoints hold.
const HARMLESS: [&str; 13] = [
    "bool",
    "bytearray",
    "bytes",
    "complex",
    "dict",
    "float",
    "frozenset",
    "int",
    "list",
    "object",
    "set",
    "slice",
    "tuple",
];

/// Whether Python would run code of the file's choice through this name.
pub(super) fn runs_code(module: &str, name: &str) -> bool {
    let root = module.split('.').next().unwrap_or(module);
    match root {
        "builtins" | "__builtin__" => !HARMLESS.contains(&name),
        _ => HOSTILE.contains(&root),
    }
}
