/// A network configuration that cannot be built.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("configuration key `{key}`: {reason}")]
pub struct ConfigError {
    /// Key of the experiment file, such as `generator.start_stride`.
    pub key: &'static str,
    /// What is wrong and what is allowed.
    pub reason: String,
}

impl ConfigError {
    /// An error about one key.
    pub fn new(key: &'static str, reason: impl Into<String>) -> Self {
        Self {
            key,
            reason: reason.into(),
        }
    }
}
