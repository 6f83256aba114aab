//! The part of Python's pickle format that PyTorch checkpoints use, read without executing any of
//! it: names of classes and functions are compared, never looked up. Anything that is not a
//! tensor, a container or a plain value becomes [`Node::Opaque`].

mod hostile;
mod machine;

use machine::Machine;

/// Index of an object in a [`Pickle`].
pub(super) type Id = usize;

/// An object of a pickle. Objects refer to each other by index, so that shared, cyclic and deeply
/// nested ones cost no recursion.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Bool(bool),
    Int(i64),
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class or function, `module.name`.
    Global(String),
    /// The identifier of data that lie outside the pickle.
    Persistent(Id),
    /// A tensor: a persistent storage, offset, shape, strides.
    Tensor {
        storage: Id,
        offset: Id,
        shape: Id,
        strides: Id,
    },
    /// None, floats, bytes, sets and instances of classes.
    Opaque,
}

/// All objects of one pickle.
pub(super) struct Pickle {
    nodes: Vec<Node>,
    root: Id,
}

impl Pickle {
    /// The outermost object.
    pub(super) fn root(&self) -> Id {
        self.root
    }

    /// Number of objects; every smaller index is one.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[id]
    }

    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A non-negative integer.
    pub(super) fn size(&self, id: Id) -> Option<usize> {
        match self.node(id) {
            Node::Int(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    /// Elements of a tuple or list.
    pub(super) fn items(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::Tuple(items) | Node::List(items) => Some(items),
            _ => None,
        }
    }

    /// The value under a text key of a dictionary; the last one wins, as in Python.
    pub(super) fn get(&self, dict: Id, key: &str) -> Option<Id> {
        let Node::Dict(entries) = self.node(dict) else {
            return None;
        };
        entries
            .iter()
            .rev()
            .find(|(k, _)| self.text(*k) == Some(key))
            .map(|(_, value)| *value)
    }
}

/// Reads one pickle from the front of `bytes` and returns it with the number of bytes it took.
///
/// # Errors
///
/// A sentence that says what is wrong at which byte.
pub(super) fn read_pickle(bytes: &[u8]) -> Result<(Pickle, usize), String> {
    let mut machine = Machine::new(bytes);
    let root = machine.run()?;
    let length = machine.position();
    Ok((
        Pickle {
            nodes: machine.into_nodes(),
            root,
        },
        length,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `pickle.dumps({"a": (1, -2, True), "b": [None]}, protocol=2)`
    const SMALL: &[u8] = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01K\x01J\xfe\xff\xff\xff\x88\x87q\x02X\x01\x00\x00\x00bq\x03]q\x04Nau.";

    #[test]
    fn containers_and_plain_values() {
        let (pickle, length) = read_pickle(SMALL).unwrap();
        assert_eq!(length, SMALL.len());
        let tuple = pickle
            .items(pickle.get(pickle.root(), "a").unwrap())
            .unwrap();
        let values: Vec<_> = tuple.iter().map(|&id| pickle.node(id).clone()).collect();
        assert_eq!(values, [Node::Int(1), Node::Int(-2), Node::Bool(true)]);
        assert_eq!(pickle.size(tuple[0]), Some(1));
        assert_eq!(pickle.size(tuple[1]), None);
        assert_eq!(
            pickle
                .items(pickle.get(pickle.root(), "b").unwrap())
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn every_truncation_is_an_error() {
        for length in 0..SMALL.len() {
            assert!(
                read_pickle(&SMALL[..length]).is_err(),
                "{length} bytes were accepted"
            );
        }
    }

    #[test]
    fn code_is_refused_by_name() {
        let hostile: [(&[u8], &str); 6] = [
            (b"cos\nsystem\nX\x04\x00\x00\x00true\x85R.", "os.system"),
            (
                b"cposix\nsystem\nX\x04\x00\x00\x00true\x85R.",
                "posix.system",
            ),
            (b"csubprocess\nPopen\n)\x81.", "subprocess.Popen"),
            (
                b"c__builtin__\neval\nX\x01\x00\x00\x001\x85R.",
                "__builtin__.eval",
            ),
            (b"\x8c\x08builtins\x8c\x04exec\x93.", "builtins.exec"),
            (
                b"cimportlib.machinery\nSourceFileLoader\n.",
                "SourceFileLoader",
            ),
        ];
        for (bytes, name) in hostile {
            let error = read_pickle(bytes).err().unwrap();
            assert!(
                error.contains(name) && error.contains("nothing was run"),
                "{error}"
            );
        }
    }

    #[test]
    fn calls_are_not_executed() {
        let bytes = b"\x80\x02cyacs.config\nCfgNode\n)\x81c__builtin__\nset\n]\x85R\x86.";
        let (pickle, _) = read_pickle(bytes).unwrap();
        for &id in pickle.items(pickle.root()).unwrap() {
            assert_eq!(pickle.node(id), &Node::Opaque);
        }
    }

    #[test]
    fn deep_nesting_needs_no_stack() {
        let mut bytes = b"\x80\x02N".to_vec();
        bytes.extend(std::iter::repeat_n(0x85, 1_000_000));
        bytes.push(b'.');
        assert!(read_pickle(&bytes).is_ok());
    }
}
