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
            let mut file = File::open(path).map_err(failed)?;
            let length = file.metadata().map_err(failed)?.len();
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
