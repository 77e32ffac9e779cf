//! DEBUG PROTOCOL: a reply of each type, for the tests of clients.

use ringstone_engine::{Args, Error};
use ringstone_proto::resp::Encoder;

use super::{Host, Outcome};

/// Replies with a value of the type that is asked for.
pub(super) fn protocol(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let resp3 = host.conn.resp3;
    let mut out = Encoder::new(host.conn.reply_buffer(), resp3);
    match args.at(2).to_ascii_lowercase().as_slice() {
        b"string" => out.bulk(b"Hello World"),
        b"integer" => out.int(12345),
        // No constant: three digits that a client is to show as they are.
        b"double" => out.double(3141.0 / 1000.0),
        b"null" => out.null(),
        b"array" => {
            out.array(3);
            (0..3).for_each(|number| out.int(number));
        }
        b"set" => {
            out.set(3);
            (0..3).for_each(|number| out.int(number));
        }
        b"map" => {
            out.map(3);
            for number in 0..3 {
                out.int(number);
                out.bool(number == 1);
            }
        }
        b"attrib" => {
            if resp3 {
                out.attribute(1);
                out.bulk(b"key-popularity");
                out.array(2);
                out.bulk(b"key:123");
                out.int(90);
            }
            // An attribute is followed by the reply that it is about.
            out.bulk(b"Some real reply following the attribute");
        }
        b"push" if resp3 => {
            out.push(2);
            out.bulk(b"server-cpu-usage");
            out.int(42);
        }
        b"push" => return Err(Error::text("ERR RESP2 is not supported by this command")),
        b"true" => out.bool(true),
        b"false" => out.bool(false),
        b"verbatim" => out.verbatim("txt", b"This is a verbatim\nstring"),
        b"bignum" => out.big_number("1234567999999999999999999999999999999"),
        _ => {
            return Err(Error::text(
                "ERR Wrong protocol type name. Please use one of the following: \
                 string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(Outcome::Done)
}
