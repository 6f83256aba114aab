//! The stack machine that a pickle is a program for.

use std::collections::HashMap;

use super::hostile::runs_code;
use super::{Id, Node};

/// Longest name of a class or function, in bytes. Names are copied, and a pickle can repeat a long text
/// in two bytes.
const LONGEST_NAME: usize = 256;

/// How deep calls that rebuild a tensor may lie in one another: a subclass of a subclass of a parameter
/// is three.
const DEEPEST_CALL: usize = 8;

/// State of the machine while it reads `bytes`.
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            nodes: vec![],
            stack: vec![],
            marks: vec![],
            memo: HashMap::new(),
        }
    }

    /// Reads up to the end of the pickle and returns its outermost object.
    pub(super) fn run(&mut self) -> Result<Id, String> {
        loop {
            let at = self.at;
            let opcode = self.byte()?;
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode)
                .map_err(|error| format!("{error} (byte {at} of the pickle)"))?;
        }
    }

    /// Number of bytes read.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn into_nodes(self) -> Vec<Node> {
        self.nodes
    }

    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let end = self
            .at
            .checked_add(count)
            .filter(|&end| end <= self.bytes.len());
        let end = end.ok_or("the pickle ends too early, the file is truncated")?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    /// A little-endian unsigned number of `width` bytes.
    fn number(&mut self, width: usize) -> Result<usize, String> {
        let value = self
            .take(width)?
            .iter()
            .rev()
            .try_fold(0usize, |value, &byte| {
                value
                    .checked_mul(256)
                    .map(|value| value + usize::from(byte))
            });
        value.ok_or_else(|| "a length is too large".to_string())
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = &self.bytes[self.at..];
        let length = rest
            .iter()
            .position(|&byte| byte == b'\n')
            .ok_or("a line has no end")?;
        let line = String::from_utf8_lossy(&rest[..length]).into_owned();
        self.at += length + 1;
        Ok(line)
    }

    fn pop(&mut self) -> Result<Id, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err("the stack is empty".into());
        }
        self.stack.pop().ok_or_else(|| "the stack is empty".into())
    }

    /// Everything above the last mark.
    fn pop_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("a mark is missing")?;
        Ok(self.stack.split_off(mark))
    }

    fn top(&self) -> Result<Id, String> {
        self.stack
            .last()
            .copied()
            .ok_or_else(|| "the stack is empty".into())
    }

    fn push(&mut self, node: Node) {
        self.nodes.push(node);
        self.stack.push(self.nodes.len() - 1);
    }

    fn text(&mut self, width: usize) -> Result<(), String> {
        let length = self.number(width)?;
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.push(Node::Text(text));
        Ok(())
    }

    fn skip(&mut self, width: usize) -> Result<(), String> {
        let length = self.number(width)?;
        self.take(length)?;
        self.push(Node::Opaque);
        Ok(())
    }

    /// A little-endian two's complement number; one that needs more than 64 bits is opaque.
    fn long(&mut self, width: usize) -> Result<(), String> {
        let length = self.number(width)?;
        let digits = self.take(length)?;
        let node = if digits.len() > 8 {
            Node::Opaque
        } else {
            let negative = digits.last().is_some_and(|byte| byte & 0x80 != 0);
            let mut value = [if negative { 0xff } else { 0 }; 8];
            value[..digits.len()].copy_from_slice(digits);
            Node::Int(i64::from_le_bytes(value))
        };
        self.push(node);
        Ok(())
    }

    fn tuple(&mut self, count: usize) -> Result<(), String> {
        let mut items = (0..count)
            .map(|_| self.pop())
            .collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        self.push(Node::Tuple(items));
        Ok(())
    }

    fn append(&mut self, items: Vec<Id>) -> Result<(), String> {
        let target = self.top()?;
        if let Node::List(list) = &mut self.nodes[target] {
            list.extend(items);
        }
        Ok(())
    }

    fn insert(&mut self, items: &[Id]) -> Result<(), String> {
        let target = self.top()?;
        if let Node::Dict(dict) = &mut self.nodes[target] {
            dict.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
        }
        Ok(())
    }

    fn get_memo(&mut self, key: usize) -> Result<(), String> {
        let id = *self
            .memo
            .get(&key)
            .ok_or("an object is used before it is defined")?;
        self.stack.push(id);
        Ok(())
    }

    fn step(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            0x80 => drop(self.byte()?),    // protocol
            0x95 => drop(self.number(8)?), // frame
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_mark()?),
            b'N' => self.push(Node::Opaque),
            0x88 => self.push(Node::Bool(true)),
            0x89 => self.push(Node::Bool(false)),
            b'K' => {
                let value = self.number(1)?;
                self.push(Node::Int(value as i64));
            }
            b'M' => {
                let value = self.number(2)?;
                self.push(Node::Int(value as i64));
            }
            b'J' => {
                let value = self.number(4)? as u32 as i32;
                self.push(Node::Int(i64::from(value)));
            }
            0x8a => self.long(1)?,
            0x8b => self.long(4)?,
            b'G' => {
                self.take(8)?;
                self.push(Node::Opaque);
            }
            b'U' | 0x8c => self.text(1)?,
            b'T' | b'X' => self.text(4)?,
            0x8d => self.text(8)?,
            b'C' => self.skip(1)?,
            b'B' => self.skip(4)?,
            0x8e | 0x96 => self.skip(8)?,
            b')' => self.push(Node::Tuple(vec![])),
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b't' => {
                let items = self.pop_mark()?;
                self.push(Node::Tuple(items));
            }
            b']' => self.push(Node::List(vec![])),
            b'l' => {
                let items = self.pop_mark()?;
                self.push(Node::List(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.pop_mark()?;
                self.append(items)?;
            }
            b'}' => self.push(Node::Dict(vec![])),
            b'd' => {
                let items = self.pop_mark()?;
                self.push(Node::Dict(vec![]));
                self.insert(&items)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.insert(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.insert(&items)?;
            }
            0x8f => self.push(Node::Opaque), // empty set
            0x90 => drop(self.pop_mark()?),  // its elements
            0x91 => {
                self.pop_mark()?;
                self.push(Node::Opaque); // frozen set
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Node::Global(class_name(&module, &name)?));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Node::Text(module), Node::Text(name)) =
                    (&self.nodes[module], &self.nodes[name])
                else {
                    return Err("the name of a class is no text".into());
                };
                let name = class_name(module, name)?;
                self.push(Node::Global(name));
            }
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                self.call(callable, arguments)?;
            }
            0x92 => {
                self.pop()?; // keyword arguments
                let (arguments, callable) = (self.pop()?, self.pop()?);
                self.call(callable, arguments)?;
            }
            // The state of an instance: for a dictionary its attributes, which hold no tensor of
            // the state dictionary.
            b'b' => drop(self.pop()?),
            b'Q' => {
                let identifier = self.pop()?;
                self.push(Node::Persistent(identifier));
            }
            b'q' => {
                let key = self.number(1)?;
                self.memo.insert(key, self.top()?);
            }
            b'r' => {
                let key = self.number(4)?;
                self.memo.insert(key, self.top()?);
            }
            0x94 => {
                self.memo.insert(self.memo.len(), self.top()?);
            }
            b'h' => {
                let key = self.number(1)?;
                self.get_memo(key)?;
            }
            b'j' => {
                let key = self.number(4)?;
                self.get_memo(key)?;
            }
            other => return Err(format!("unknown pickle instruction 0x{other:02x}")),
        }
        Ok(())
    }

    /// What calling a known function would give; calls of anything else give an opaque object.
    fn call(&mut self, mut callable: Id, mut arguments: Id) -> Result<(), String> {
        for _ in 0..DEEPEST_CALL {
            let (Node::Global(name), Node::Tuple(items)) =
                (&self.nodes[callable], &self.nodes[arguments])
            else {
                // A class that the file itself describes, as a whole module has them.
                self.push(Node::Opaque);
                return Ok(());
            };
            match (name.as_str(), items.as_slice()) {
                (
                    "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2",
                    &[storage, offset, shape, strides, ..],
                ) => self.push(Node::Tensor {
                    storage,
                    offset,
                    shape,
                    strides,
                }),
                (
                    "torch._utils._rebuild_parameter"
                    | "torch._utils._rebuild_parameter_with_state",
                    &[tensor, ..],
                ) => self.stack.push(tensor),
                ("torch._tensor._rebuild_from_type_v2", &[function, _, inner, ..]) => {
                    (callable, arguments) = (function, inner);
                    continue;
                }
                ("collections.OrderedDict", []) => self.push(Node::Dict(vec![])),
                _ => self.push(Node::Opaque),
            }
            return Ok(());
        }
        Err("calls lie too deep in one another".into())
    }
}

/// The name of a class or function, unless it is one that no checkpoint has a use for.
fn class_name(module: &str, name: &str) -> Result<String, String> {
    if module.len() + name.len() > LONGEST_NAME {
        return Err("the name of a class is too long to be one".into());
    }
    if runs_code(module, name) {
        return Err(format!(
            "it calls for `{module}.{name}`, which runs code when Python loads the file; \
             nothing was run, delete the file and get it from its publisher"
        ));
    }
    Ok(format!("{module}.{name}"))
}
