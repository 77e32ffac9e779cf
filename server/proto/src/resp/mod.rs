//! RESP2 and RESP3, the Redis serialisation protocol: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.
//!
//! ```text
//!   socket bytes ──> Decoder ──> spans of a command's arguments        (decode, inline)
//!   reply bytes  <── Encoder <── what the command answers              (encode, double)
//! ```

mod decode;
mod double;
mod encode;
mod inline;
mod number;

pub use decode::{ARGS_MAX, Decoded, Decoder, INLINE_MAX_BYTES, Limits, ProtocolError};
pub use double::{DoubleText, double_text};
pub use encode::Encoder;
pub use inline::{UnbalancedQuotes, split_args};
