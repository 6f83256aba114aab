//! Words that only those know who may use something.

use blake3::Hasher;

/// A word that those share who may use something.
#[derive(Clone)]
pub struct Token {
    key: [u8; 32],
    is_empty: bool,
}

impl Token {
    /// Of a text; an empty one is known to everybody.
    pub fn new(text: &str) -> Self {
        Self {
            key: blake3::derive_key("dp-sims token of a run", text.trim().as_bytes()),
            is_empty: text.trim().is_empty(),
        }
    }

    /// Whether everybody knows it.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Whether a text is the token. Compares in constant time.
    pub fn is(&self, text: &str) -> bool {
        blake3::Hash::from_bytes(self.key) == blake3::Hash::from_bytes(Self::new(text).key)
    }

    /// What only those can say to a challenge who know the token.
    pub fn proof(&self, role: &str, challenge: &str) -> String {
        let mut hasher = Hasher::new_keyed(&self.key);
        hasher
            .update(role.as_bytes())
            .update(&[0])
            .update(challenge.as_bytes());
        hasher.finalize().to_hex().to_string()
    }

    /// Whether a proof is right. Compares in constant time.
    pub fn accepts(&self, role: &str, challenge: &str, proof: &str) -> bool {
        let expected = blake3::Hash::from_hex(self.proof(role, challenge));
        matches!((expected, blake3::Hash::from_hex(proof)), (Ok(own), Ok(other)) if own == other)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_its_text_and_no_other() {
        let token = Token::new("open sesame\n");
        assert!(!token.is_empty() && Token::new(" \n").is_empty());
        assert!(token.is("open sesame"));
        for other in ["", "open", "open sesame!", "Open sesame"] {
            assert!(!token.is(other), "{other}");
        }
        assert_eq!(format!("{token:?}"), "Token");
    }
}
