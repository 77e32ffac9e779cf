//! The error texts of the wire, pinned: clients match on them.

use ringstone_engine::Error;

/// The text that each error must have. A new variant does not compile until it stands here.
fn pinned(error: &Error) -> String {
    match error {
        Error::WrongType => {
            "WRONGTYPE Operation against a key holding the wrong kind of value".into()
        }
        Error::Syntax => "ERR syntax error".into(),
        Error::NotInteger => "ERR value is not an integer or out of range".into(),
        Error::NotFloat => "ERR value is not a valid float".into(),
        Error::Overflow => "ERR increment or decrement would overflow".into(),
        Error::NanOrInfinity => "ERR increment would produce NaN or Infinity".into(),
        Error::NoSuchKey => "ERR no such key".into(),
        Error::StringTooLong => {
            "ERR string exceeds maximum allowed size (proto-max-bulk-len)".into()
        }
        Error::InvalidExpire(command) => format!("ERR invalid expire time in '{command}' command"),
        Error::NotPositive => "ERR value is out of range, must be positive".into(),
        Error::OutOfRange => "ERR value is out of range".into(),
        Error::Arity(command) => format!("ERR wrong number of arguments for '{command}' command"),
        Error::UnknownSubcommand(sub, container) => {
            format!("ERR unknown subcommand '{sub}'. Try {container} HELP.")
        }
        Error::DbIndex => "ERR DB index is out of range".into(),
        Error::SameObject => "ERR source and destination objects are the same".into(),
        Error::BusyKey => "BUSYKEY Target key name already exists.".into(),
        Error::BadDump => "ERR DUMP payload version or checksum are wrong".into(),
        Error::BadData => "ERR Bad data format".into(),
        Error::IndexRange => "ERR index out of range".into(),
        Error::MinMaxNotFloat => "ERR min or max is not a float".into(),
        Error::MinMaxNotLex => "ERR min or max not valid string range item".into(),
        Error::InvalidCursor => "ERR invalid cursor".into(),
        Error::OffsetRange => "ERR offset is out of range".into(),
        Error::NotHll => "WRONGTYPE Key is not a valid HyperLogLog string value.".into(),
        Error::CorruptHll => "INVALIDOBJ Corrupted HLL object detected".into(),
        Error::WouldBlock(_) => "ERR the command waits for keys".into(),
        Error::Text(text) => text.to_string(),
    }
}

#[test]
fn error_texts_are_those_of_redis() {
    let all = [
        Error::WrongType,
        Error::Syntax,
        Error::NotInteger,
        Error::NotFloat,
        Error::Overflow,
        Error::NanOrInfinity,
        Error::NoSuchKey,
        Error::StringTooLong,
        Error::InvalidExpire("set"),
        Error::NotPositive,
        Error::OutOfRange,
        Error::Arity("get".into()),
        Error::UnknownSubcommand("nope".into(), "OBJECT".into()),
        Error::DbIndex,
        Error::SameObject,
        Error::BusyKey,
        Error::BadDump,
        Error::BadData,
        Error::IndexRange,
        Error::MinMaxNotFloat,
        Error::MinMaxNotLex,
        Error::InvalidCursor,
        Error::OffsetRange,
        Error::NotHll,
        Error::CorruptHll,
        Error::text("ERR any text"),
    ];
    for error in &all {
        assert_eq!(error.to_string(), pinned(error));
        let code = error.code();
        assert!(code.bytes().all(|byte| byte.is_ascii_uppercase()), "{code}");
    }
}

#[test]
fn a_text_made_at_run_time_cannot_break_the_protocol() {
    let error = Error::owned("ERR Unsupported option a\r\nb".into());
    assert_eq!(error.to_string(), "ERR Unsupported option a  b");
}
