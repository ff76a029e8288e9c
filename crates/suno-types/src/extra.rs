//! Members that this version does not know, kept as they were sent.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;

/// Members of an object that this version does not know, written back on encoding.
///
/// Values are the bytes that were sent, so no number loses a digit. `Debug` shows the names only,
/// because a value can contain a secret, such as a callback URL with a token.
///
/// ```
/// use suno_types::Callback;
///
/// let body = br#"{"code":200,"data":{"task_id":"5c79be8e"},"mood":"calm"}"#;
/// let callback = Callback::decode(body)?;
/// assert_eq!(callback.extra.json("mood"), Some("\"calm\""));
/// # Ok::<(), suno_types::DecodeError>(())
/// ```
#[derive(Clone, Default)]
pub struct Extra(BTreeMap<Box<str>, Box<RawValue>>);

impl Extra {
    /// The names under which the provider repeats the callback URL, which can contain a token
    /// (`PROTOCOL.md 4.12`, `4.21`). It also repeats the whole request, as JSON text in `param`.
    pub const CALLBACK_URLS: [&str; 4] =
        ["callBackUrl", "callbackUrl", "callback_url", "calBackUrl"];

    /// The JSON text of the member `name`, as it was sent.
    #[must_use]
    pub fn json(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|raw| raw.get())
    }

    /// The text of the member `name`, if it is a string.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.json(name)?).ok()
    }

    /// Name and JSON text of every member, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, raw)| (&**name, raw.get()))
    }

    /// Returns whether there are no such members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds a member.
    pub(crate) fn keep(&mut self, name: Box<str>, value: Box<RawValue>) {
        self.0.insert(name, value);
    }

    /// Removes the members with these names.
    pub(crate) fn remove(&mut self, names: &[&str]) {
        for name in names {
            self.0.remove(*name);
        }
    }

    pub(crate) fn raw(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(name, raw)| (&**name, &**raw))
    }
}

/// Unknown members that are borrowed from the body, sorted. Each name occurs once.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExtraRef<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> ExtraRef<'a> {
    /// Checks that no name occurs twice. The error is a name that does.
    pub(crate) fn new(
        mut members: Vec<(Cow<'a, str>, &'a RawValue)>,
    ) -> Result<Self, Cow<'a, str>> {
        members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        match members.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(pair[0].0.clone()),
            None => Ok(Self(members)),
        }
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(name))
    }

    /// The value of the member `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.place(name).ok().map(|place| self.0[place].1)
    }

    /// Returns whether there is a member `name`, whatever its value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.place(name).is_ok()
    }

    /// Adds the member `name`, if there is none.
    pub(crate) fn add(&mut self, name: &'a str, value: &'a RawValue) {
        if let Err(place) = self.place(name) {
            self.0.insert(place, (Cow::Borrowed(name), value));
        }
    }

    /// Removes the member `name`.
    pub(crate) fn remove(&mut self, name: &str) {
        if let Ok(place) = self.place(name) {
            self.0.remove(place);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, raw)| (&**name, *raw))
    }
}

impl<'a> From<&'a Extra> for ExtraRef<'a> {
    fn from(extra: &'a Extra) -> Self {
        let borrowed = |(name, raw): (&'a str, &'a RawValue)| (Cow::Borrowed(name), raw);
        Self(extra.raw().map(borrowed).collect())
    }
}

impl From<ExtraRef<'_>> for Extra {
    fn from(extra: ExtraRef<'_>) -> Self {
        let owned = |(name, value): (Cow<'_, str>, &RawValue)| (name.into(), value.to_owned());
        Self(extra.0.into_iter().map(owned).collect())
    }
}

/// The maximum length of an unknown name that is shown.
const SHOWN_CHARS_MAX: usize = 64;

/// Returns a name that the sender chose in a form for errors, which are logged: plain words only.
pub(crate) fn shown(name: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.len() <= SHOWN_CHARS_MAX && name.bytes().all(plain) {
        name
    } else {
        "?"
    }
}

impl PartialEq for Extra {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
