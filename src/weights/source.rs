use std::fs::File;
use std::io::{Seek, SeekFrom};

use super::FetchError;
use super::address::Address;
use super::answer::{Answer, Offer, Trouble};
use super::client::Limits;
use super::web::open_web;

/// Asks for a file from a position on, given what marked it when its beginning was read.
pub(super) fn open(
    address: &Address,
    start: u64,
    etag: Option<&str>,
    limits: Limits,
) -> Result<Answer, Trouble> {
    match address {
        Address::File(path) => {
            let failed = |cause| {
                Trouble::Final(FetchError::Io {
                    action: "read",
                    path: path.clone(),
                    cause,
                })
            };
            // The argument is wrong, and not the machine.
            let refused = |reason| {
                let address = format!("file://{}", path.display());
                Trouble::Final(FetchError::address(&address, reason))
            };
            // Before it is opened: a pipe would wait for a writer.
            let metadata = path
                .metadata()
                .map_err(|cause| refused(cause.to_string()))?;
            if !metadata.is_file() {
                return Err(refused("it is no file".to_string()));
            }
            let length = metadata.len();
            let mut file = File::open(path).map_err(failed)?;
            let start = if start > length { 0 } else { start };
            file.seek(SeekFrom::Start(start)).map_err(failed)?;
            Ok(Answer::Offer(Offer {
                start,
                length: Some(length),
                etag: None,
                announced: None,
                body: Box::new(file),
            }))
        }
        Address::Web(address) => open_web(address, start, etag, limits),
    }
}
