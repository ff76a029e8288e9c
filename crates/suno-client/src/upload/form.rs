//! The form of an upload (`multipart/form-data`), whose file is read while it is sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderValue;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use tokio::fs::File;
use tokio::io::{AsyncRead, ReadBuf};

use super::FOLDER;
use super::name::FileName;
use crate::transport::UploadBody;

/// The size of a piece of a file, in bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// The text around the file.
pub(super) struct Form {
    boundary: String,
    head: String,
}

impl Form {
    pub(super) fn new(name: &FileName) -> Self {
        // Too long to be met in a file by chance.
        let boundary = format!("suno-client-{:032x}", fastrand::u128(..));
        let mut head = String::new();
        for (field, value) in [("uploadPath", FOLDER), ("fileName", name.as_str())] {
            head.push_str(&format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n"
            ));
        }
        head.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\
             Content-Type: {}\r\n\r\n",
            name.as_str(),
            name.content_type(),
        ));
        Self { boundary, head }
    }

    pub(super) fn content_type(&self) -> HeaderValue {
        let text = format!("multipart/form-data; boundary={}", self.boundary);
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("multipart/form-data"))
    }

    pub(super) fn with_file(self, file: File, bytes: u64) -> UploadBody {
        self.body(Content::File(file, bytes)).boxed_unsync()
    }

    pub(super) fn with_bytes(self, bytes: Bytes) -> UploadBody {
        self.body(Content::Bytes(bytes)).boxed_unsync()
    }

    fn body(self, content: Content) -> FormBody {
        FormBody {
            head: self.head.into(),
            content,
            tail: format!("\r\n--{}--\r\n", self.boundary).into(),
        }
    }
}

/// The rest of a file.
enum Content {
    Bytes(Bytes),
    File(File, u64),
}

impl Content {
    fn bytes_left(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, left) => *left,
        }
    }

    /// The next piece. It is called only while there is one.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let (file, left) = match self {
            Self::Bytes(bytes) => return Poll::Ready(Ok(std::mem::take(bytes))),
            Self::File(file, left) => (file, left),
        };
        let length = usize::try_from(*left)
            .unwrap_or(PIECE_BYTES)
            .min(PIECE_BYTES);
        let mut piece = vec![0; length];
        let mut buffer = ReadBuf::new(&mut piece);
        ready!(Pin::new(file).poll_read(cx, &mut buffer))?;
        let read = buffer.filled().len();
        if read == 0 {
            let err = io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter");
            return Poll::Ready(Err(err));
        }
        *left -= read as u64;
        piece.truncate(read);
        Poll::Ready(Ok(piece.into()))
    }
}

/// The body of the form: the text before the file, the file, and the text after it.
struct FormBody {
    head: Bytes,
    content: Content,
    tail: Bytes,
}

impl Body for FormBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let piece = if !self.head.is_empty() {
            Ok(std::mem::take(&mut self.head))
        } else if self.content.bytes_left() > 0 {
            ready!(self.content.poll_piece(cx))
        } else if !self.tail.is_empty() {
            Ok(std::mem::take(&mut self.tail))
        } else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some(piece.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        let text = (self.head.len() + self.tail.len()) as u64;
        SizeHint::with_exact(text + self.content.bytes_left())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes of the pieces of a body, and whether each was announced.
    async fn pieces(mut body: UploadBody) -> Vec<usize> {
        let mut left = body.size_hint().exact().expect("a length");
        let mut pieces = Vec::new();
        while let Some(frame) = body.frame().await {
            let data = frame.expect("a frame").into_data().expect("data");
            left -= data.len() as u64;
            assert_eq!(body.size_hint().exact(), Some(left));
            pieces.push(data.len());
        }
        assert_eq!(left, 0);
        pieces
    }

    async fn file(bytes: u64) -> File {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(bytes).expect("a length");
        File::from_std(file)
    }

    #[tokio::test]
    async fn a_file_is_read_in_pieces_of_a_bounded_size() {
        let bytes = 10 * PIECE_BYTES as u64 + 1;
        let form = Form::new(&FileName::of("a.mp3"));
        let pieces = pieces(form.with_file(file(bytes).await, bytes)).await;
        assert!(pieces.len() >= 13, "{pieces:?}");
        assert!(
            pieces.iter().all(|piece| *piece <= PIECE_BYTES),
            "{pieces:?}"
        );
    }

    #[tokio::test]
    async fn a_file_that_grows_is_cut_and_one_that_shrinks_is_an_error() {
        let form = || Form::new(&FileName::of("a.mp3"));
        let cut = pieces(form().with_file(file(500).await, 100)).await;
        assert_eq!(cut[1], 100);
        let mut body = form().with_file(file(50).await, 100);
        let mut last = None;
        while let Some(frame) = body.frame().await {
            last = Some(frame.is_err());
            if last == Some(true) {
                break;
            }
        }
        assert_eq!(last, Some(true));
    }
}
