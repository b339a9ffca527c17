//! The words of a request, for counting where an answer brings no usage.

/// The whole body, until the fields are told apart.
pub fn words(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

/// How many messages the request has, at least.
pub fn messages(body: &[u8]) -> usize {
    usize::from(!body.is_empty())
}
