//! Bodies of all shapes that the provider could send, as text: members in any order, known ones
//! absent, null or there, and unknown ones in between.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use suno_types::Stage;

/// Members of an object: name and JSON text.
type Members = Vec<(String, String)>;

/// How many unknown members an object gets at most.
const UNKNOWN_MAX: usize = 3;

fn json(text: impl AsRef<str>) -> String {
    serde_json::to_string(text.as_ref()).unwrap()
}

/// Any JSON value, with numbers that no machine type holds.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("1.50".to_owned()),
        Just("123456789012345678901234567890".to_owned()),
        Just("-0.0e+7".to_owned()),
        any::<bool>().prop_map(|it| it.to_string()),
        any::<i64>().prop_map(|it| it.to_string()),
        any::<String>().prop_map(json),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|items| format!("[ {} ]", items.join(" , "))),
            btree_map("[a-z]{1,3}", inner, 0..3)
                .prop_map(|members| object(members.into_iter().collect())),
        ]
    })
}

/// The text of an object.
fn object(members: Members) -> String {
    let members: Vec<_> = members
        .iter()
        .map(|(name, value)| format!("{}:{value}", json(name)))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// A member that may be absent or null.
fn member(
    name: &'static str,
    value: impl Strategy<Value = String> + 'static,
) -> BoxedStrategy<Members> {
    option::of(prop_oneof![1 => Just("null".to_owned()), 4 => value])
        .prop_map(move |value| {
            value
                .map(|value| (name.to_owned(), value))
                .into_iter()
                .collect()
        })
        .boxed()
}

/// These members and some that nobody knows, in any order.
fn with_unknown(members: Vec<BoxedStrategy<Members>>) -> impl Strategy<Value = Members> {
    let unknown = btree_map("x[a-zé\"]{0,4}", any_json(), 0..=UNKNOWN_MAX);
    (members, unknown)
        .prop_map(|(members, unknown)| members.into_iter().flatten().chain(unknown).collect())
        .prop_flat_map(|members: Members| Just(members).prop_shuffle())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), any::<String>(), "[a-z ]{1,12}"].prop_map(json)
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..10_000_u32).prop_map(|it| it.to_string()),
        (0.0..1e9_f64).prop_map(|it| format!("{it:?}")),
        (0.0..1e9_f64).prop_map(|it| format!("\"{it}\"")),
    ]
}

fn code() -> impl Strategy<Value = String> {
    let codes = prop_oneof![Just(200), Just(501), any::<i64>()];
    (codes, any::<bool>()).prop_map(|(code, quoted)| match quoted {
        true => format!("\"{code}\""),
        false => code.to_string(),
    })
}

fn time() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|it| it.to_string()),
        text(),
        Just("\"2025-01-01 00:00:00\"".to_owned()),
    ]
}

/// An id as text.
pub(crate) fn id() -> impl Strategy<Value = String> {
    prop_oneof!["[0-9a-f]{32}", "[!-~]{1,128}"]
}

/// A track, spelled as in a callback or as in a record.
fn track(camel: bool) -> BoxedStrategy<String> {
    let name = |snake: &'static str, in_record: &'static str| if camel { in_record } else { snake };
    let members = vec![
        member("id", prop_oneof![Just(String::new()), id()].prop_map(json)),
        member("title", text()),
        member("tags", text()),
        member("prompt", text()),
        member("duration", number()),
        member("createTime", time()),
        member(name("model_name", "modelName"), text()),
        member(name("audio_url", "audioUrl"), text()),
        member(name("source_audio_url", "sourceAudioUrl"), text()),
        member(name("stream_audio_url", "streamAudioUrl"), text()),
        member(
            name("source_stream_audio_url", "sourceStreamAudioUrl"),
            text(),
        ),
        member(name("image_url", "imageUrl"), text()),
        member(name("source_image_url", "sourceImageUrl"), text()),
    ];
    prop_oneof![1 => Just("null".to_owned()), 9 => with_unknown(members).prop_map(object)].boxed()
}

fn tracks(camel: bool) -> BoxedStrategy<String> {
    vec(track(camel), 0..4)
        .prop_map(|tracks| format!("[{}]", tracks.join(",")))
        .boxed()
}

/// The JSON text in `resultJson`, as JSON text.
fn result_json() -> BoxedStrategy<String> {
    let result = with_unknown(vec![member("data", tracks(false))]).prop_map(object);
    prop_oneof![1 => Just(String::new()), 4 => result]
        .prop_map(json)
        .boxed()
}

/// A value of one of several products, or of a type that no product has.
fn odd(value: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    prop_oneof![4 => value, 1 => any_json()].boxed()
}

/// URLs, some of them with a query.
fn url() -> impl Strategy<Value = String> {
    "|https://m.example.com/[a-c](\\?sign=[a-z])?".prop_map(json)
}

fn array(item: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = String> {
    vec(odd(item), 0..3).prop_map(|items| format!("[{}]", items.join(",")))
}

fn lyrics() -> impl Strategy<Value = String> {
    with_unknown(vec![
        member("text", text()),
        member("title", text()),
        member("status", text()),
        member("error_message", text()),
        member("errorMessage", text()),
    ])
    .prop_map(object)
}

fn stem() -> impl Strategy<Value = String> {
    let part = || {
        with_unknown(vec![
            member("audio_url", url()),
            member("stem_type_group_name", text()),
            member("duration", number()),
            member("id", text()),
        ])
    };
    let pair = with_unknown(vec![
        member("extract", part().prop_map(object)),
        member("remove", part().prop_map(object)),
    ]);
    prop_oneof![part(), pair].prop_map(object)
}

fn stems() -> impl Strategy<Value = String> {
    with_unknown(vec![
        member("vocal_url", odd(url())),
        member("vocalUrl", url()),
        member("backingVocalsUrl", url()),
        member("drums_url", url()),
        member("origin_url", url()),
        member("origin_data", odd(array(stem()))),
        member("originData", array(stem())),
    ])
    .prop_map(object)
}

fn instrument() -> impl Strategy<Value = String> {
    let note = with_unknown(vec![
        member("pitch", odd(number())),
        member("start", number()),
        member("end", number()),
        member("velocity", number()),
    ]);
    let notes = array(note.prop_map(object));
    with_unknown(vec![
        member("name", odd(text())),
        member("notes", odd(notes)),
    ])
    .prop_map(object)
}

/// Members with the results of any product, alone or several together.
fn results() -> impl Strategy<Value = Members> {
    let songs = vec![
        member(
            "data",
            odd(listed(prop_oneof![tracks(false), tracks(true)])),
        ),
        member("sunoData", odd(prop_oneof![tracks(true), tracks(false)])),
        member("tracks", odd(listed(tracks(true)))),
        member("lyricsData", odd(listed(array(lyrics())))),
        member("resultUrls", odd(array(url()))),
    ];
    let files = vec![
        member("audioWavUrl", odd(url())),
        member("audio_wav_url", url()),
        member("video_url", odd(url())),
        member("videoUrl", url()),
        member("images", odd(array(url()))),
        member("vocal_removal_info", odd(stems())),
        member("vocalUrl", url()),
        member("instruments", odd(array(instrument()))),
        member("midiData", results_of_midi()),
        member("validateInfo", odd(text())),
        member("voiceId", text()),
    ];
    let one = |members: Vec<BoxedStrategy<Members>>| {
        proptest::sample::select(members).prop_flat_map(|member| member)
    };
    prop_oneof![
        one(songs.clone()),
        one(files.clone()),
        one(std::vec![member("data", array(lyrics()))]),
        with_unknown(songs.into_iter().chain(files).collect()),
    ]
}

fn results_of_midi() -> impl Strategy<Value = String> {
    let midi = with_unknown(vec![
        member("state", text()),
        member("instruments", array(instrument())),
    ])
    .prop_map(object);
    as_itself_or_text(midi)
}

/// An array, its text, the text of that, or its elements without an array, if there is only one.
fn listed(array: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (array, 0..8_u8).prop_map(|(array, form)| match form {
        0 => json(array),
        1 => json(json(array)),
        2 => {
            let single: Vec<&serde_json::value::RawValue> =
                serde_json::from_str(&array).unwrap_or_default();
            match single.as_slice() {
                [single] => single.get().to_owned(),
                _ => array,
            }
        }
        _ => array,
    })
}

/// The JSON of a value, or a JSON string that contains it.
fn as_itself_or_text(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (value, any::<bool>()).prop_map(|(value, as_text)| if as_text { json(value) } else { value })
}

/// Members that say where a task of any product stands, and its results.
fn shape() -> impl Strategy<Value = Members> {
    let words = "text|complete|error|success|fail|waiting|SUCCESS|PENDING|FIRST_SUCCESS\
        |CALLBACK_EXCEPTION|GENERATE_WAV_FAILED|wait_validating";
    let word = move || odd(words.prop_map(json));
    let flag = prop_oneof![(0..5_u8).prop_map(|flag| flag.to_string()), word()];
    let models = "ai-music-api/(generate|generate-lyrics|convert-to-wav-format|cover-generate\
        |separate-vocals|persona)";
    let inner = || as_itself_or_text(results().prop_map(object));
    let object_of_result = inner().prop_map(|inner| format!("{{\"resultObject\":{inner}}}"));
    let members = vec![
        member("callbackType", word()),
        member("state", word()),
        member("status", word()),
        member("successFlag", flag),
        member("model", odd(models.prop_map(json))),
        member("type", odd("LYRICS|chirp-crow".prop_map(json))),
        member("errorCode", odd(code())),
        member("failCode", odd(text())),
        member("errorMessage", odd(text())),
        member("failMsg", odd(text())),
        member("error", odd(text())),
        member("param", text()),
        member("callbackUrl", url()),
        member("response", odd(prop_oneof![inner(), listed(tracks(true))])),
        member(
            "resultJson",
            odd(prop_oneof![
                inner(),
                inner().prop_map(json),
                object_of_result
            ]),
        ),
        results().boxed(),
    ];
    // Of two members of one name only one is sent.
    with_unknown(members).prop_map(|members| {
        let unique: std::collections::BTreeMap<_, _> = members.into_iter().collect();
        unique.into_iter().collect()
    })
}

/// A callback of any product, in any shape that is known, and with members of other types.
pub(crate) fn any_callback() -> impl Strategy<Value = String> {
    let code = prop_oneof![3 => Just("200".to_owned()), 1 => code()];
    let list = prop_oneof![tracks(false), tracks(true), array(lyrics()).boxed()];
    let data = prop_oneof![
        8 => shape().prop_map(object),
        2 => list,
        1 => any_json(),
    ];
    (
        id(),
        id_places(),
        any::<bool>(),
        code,
        data,
        any_json(),
        text(),
    )
        .prop_map(
            |(id, [root, camel, snake], is_snake, code, data, odd, msg)| {
                let id = json(id);
                let mut members = vec![
                    ("code".to_owned(), code),
                    ("msg".to_owned(), if snake { msg } else { odd }),
                ];
                match data.strip_prefix('{') {
                    Some(rest) if !rest.starts_with('}') && (camel || snake) => {
                        let name = if camel { "taskId" } else { "task_id" };
                        members.push(("data".to_owned(), format!("{{\"{name}\":{id},{rest}")));
                    }
                    _ => members.push(("data".to_owned(), data)),
                }
                if root || members[2].1.starts_with(|c: char| c != '{') || !(camel || snake) {
                    let name = if is_snake { "task_id" } else { "taskId" };
                    members.push((name.to_owned(), id.clone()));
                }
                if !object(members.clone()).contains(&id) {
                    members.push(("taskId".to_owned(), id));
                }
                object(members)
            },
        )
}

/// The answer to a poll of any product.
pub(crate) fn any_record() -> impl Strategy<Value = String> {
    (id(), shape(), tracks(false), 0..4_u8).prop_map(|(id, mut data, list, kind)| {
        let id = json(id);
        match kind {
            0 => format!(r#"{{"code":200,"task_id":{id},"data":{list},"msg":""}}"#),
            1 => format!(r#"{{"code":500,"task_id":{id},"data":{list},"msg":""}}"#),
            _ => {
                data.push(("taskId".to_owned(), id));
                format!(r#"{{"code":200,"data":{},"msg":""}}"#, object(data))
            }
        }
    })
}

/// Whether `taskId`, `data.taskId` and `data.task_id` are there: at least one.
fn id_places() -> impl Strategy<Value = [bool; 3]> {
    any::<[bool; 3]>().prop_filter("an id is needed", |places| places.contains(&true))
}

fn there(is_there: bool, name: &'static str, id: &str) -> BoxedStrategy<Members> {
    let member = is_there.then(|| (name.to_owned(), json(id)));
    Just(member.into_iter().collect()).boxed()
}

/// A word for a stage: any text of up to 64 bytes.
pub(crate) fn word() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..=Stage::WORD_BYTES_MAX / 4).prop_map(String::from_iter)
}

/// A callback in either dialect, or with members of both.
pub(crate) fn callback() -> impl Strategy<Value = String> {
    let stage = prop_oneof!["text|first|complete|error", word()].prop_map(json);
    let state = prop_oneof!["waiting|success|fail", word()].prop_map(json);
    (id(), id_places(), code(), stage.boxed(), state.boxed())
        .prop_flat_map(|(id, places, code, stage, state)| {
            let data = with_unknown(vec![
                there(places[1], "taskId", &id),
                there(places[2], "task_id", &id),
                member("callbackType", Just(stage)),
                member("data", tracks(false)),
                member("error", text()),
                member("state", Just(state)),
                member("resultJson", result_json()),
                member("failMsg", text()),
            ]);
            let ids = there(places[0], "taskId", &id);
            data.prop_flat_map(move |data| {
                with_unknown(vec![
                    ids.clone(),
                    Just(vec![("code".to_owned(), code.clone())]).boxed(),
                    Just(vec![("data".to_owned(), object(data))]).boxed(),
                    member("msg", text()),
                ])
            })
        })
        .prop_map(object)
}

/// The answer to a poll, in either dialect, or with members of both.
pub(crate) fn record() -> impl Strategy<Value = String> {
    let status = prop_oneof!["PENDING|SUCCESS|FIRST_SUCCESS|FAILED", any::<String>()];
    let error = prop_oneof![Just("\"\"".to_owned()), code()];
    let states = (status.prop_map(json), any::<bool>(), error);
    (id(), id_places(), states)
        .prop_flat_map(|(id, places, (status, is_job, error))| {
            let response = with_unknown(vec![
                there(places[1], "taskId", &id),
                member("sunoData", tracks(true)),
            ]);
            let state = if is_job { "state" } else { "status" };
            with_unknown(vec![
                // An id outside the response, since that may be left out.
                there(true, "taskId", &id),
                Just(vec![(state.to_owned(), status)]).boxed(),
                member("type", text()),
                member("operationType", text()),
                member("response", response.prop_map(object)),
                member("errorCode", Just(error.clone())),
                member("errorMessage", text()),
                member("createTime", time()),
                member("resultJson", result_json()),
                member("failCode", Just(error)),
                member("failMsg", text()),
            ])
        })
        .prop_flat_map(|data| {
            with_unknown(vec![
                Just(vec![("code".to_owned(), "200".to_owned())]).boxed(),
                Just(vec![("data".to_owned(), object(data))]).boxed(),
                member("msg", text()),
            ])
        })
        .prop_map(object)
}
