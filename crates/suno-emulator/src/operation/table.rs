//! Every operation of the provider.
//!
//! Paths, outer models and required members are documented on the providers' pages. Prices of songs,
//! lyrics, WAV files and videos are reported, the other prices are assumed.

use super::member::Member;
use super::product::Product;
use super::{CallbackUrl, Operation, rule};

/// The price of a song in hundredths of a credit (`PROTOCOL.md 1.42`).
const SONG_PRICE: u64 = 1200;
/// The upper bound of positions in a track, in seconds. The pages state none.
const SECONDS_MAX: f64 = 3600.0;
/// The maximum number of uploads in a mashup. The pages show two.
const MASHUP_UPLOADS_MAX: usize = 5;

const UPLOAD_URL: Member = Member::url("uploadUrl");
const TASK_ID: Member = Member::text("taskId");
const AUDIO_ID: Member = Member::text("audioId");
const CUSTOM_MODE: Member = Member::flag("customMode");
const INSTRUMENTAL: Member = Member::flag("instrumental");
const DEFAULT_PARAM_FLAG: Member = Member::flag("defaultParamFlag");
const PROMPT: Member = Member::short("prompt", 5000);
const LYRICS: Member = Member::short("lyrics", 5000);
const STYLE: Member = Member::short("style", 1000);
const TITLE: Member = Member::short_at_sunoapi("title", 100);
const TAGS: Member = Member::text("tags");
const NEGATIVE_TAGS: Member = Member::text("negativeTags");
const MODEL: Member = Member::text("model");
const VOCAL_GENDER: Member = Member::word("vocalGender", &["m", "f"]);
const STYLE_WEIGHT: Member = Member::number("styleWeight", 0.0, 1.0);
const WEIRDNESS: Member = Member::number("weirdnessConstraint", 0.0, 1.0);
const AUDIO_WEIGHT: Member = Member::number("audioWeight", 0.0, 1.0);
const PERSONA_ID: Member = Member::text("personaId");
const PERSONA_MODEL: Member = Member::word("personaModel", &["style_persona", "voice_persona"]);
const VARIETY: Member = Member::number("variety", 0.0, 4.0);
const DURATION: Member = Member::number("duration", 0.0, SECONDS_MAX);
const CONTINUE_AT: Member = Member::number("continueAt", 0.0, SECONDS_MAX);

const CALLBACK_URL: CallbackUrl = CallbackUrl::Required(CallbackUrl::NAME);

/// Concatenates the members of one operation and those that several have.
macro_rules! members {
    ($($own:expr),+ ; tuned) => {
        &[
            $($own,)+ MODEL, NEGATIVE_TAGS, VOCAL_GENDER, STYLE_WEIGHT, WEIRDNESS, AUDIO_WEIGHT,
            PERSONA_ID, PERSONA_MODEL, VARIETY, DURATION, LYRICS,
        ]
    };
}

const fn song(
    path: &'static str,
    model: &'static str,
    operation_type: &'static str,
    members: &'static [Member],
) -> Operation {
    Operation {
        path,
        model,
        product: Product::Song,
        operation_type,
        callback_url: CALLBACK_URL,
        price: SONG_PRICE,
        members,
        rule: rule::none,
        is_once: false,
    }
}

const fn other(
    product: Product,
    price: u64,
    path: &'static str,
    model: &'static str,
    members: &'static [Member],
) -> Operation {
    Operation {
        product,
        price,
        callback_url: if let Product::VoiceCheck
        | Product::TimedLyrics
        | Product::Persona
        | Product::Style = product
        {
            CallbackUrl::None
        } else {
            CALLBACK_URL
        },
        ..song(path, model, "", members)
    }
}

/// The operations, in the order of the documentation.
pub(crate) static OPERATIONS: &[Operation] = &[
    Operation {
        rule: rule::custom_mode,
        ..song(
            "/api/v1/generate",
            "generate",
            "generate",
            members![
                CUSTOM_MODE.required(), INSTRUMENTAL.required(), MODEL.required(), PROMPT, STYLE,
                TITLE; tuned
            ],
        )
    },
    Operation {
        rule: rule::extension,
        ..song(
            "/api/v1/generate/extend",
            "extend",
            "extend",
            members![
                DEFAULT_PARAM_FLAG.required_directly(), AUDIO_ID.required(), MODEL.required(),
                PROMPT, STYLE, TITLE, CONTINUE_AT; tuned
            ],
        )
    },
    Operation {
        rule: rule::cover,
        ..song(
            "/api/v1/generate/upload-cover",
            "upload-and-cover-audio",
            "upload_cover",
            members![
                UPLOAD_URL.required(), INSTRUMENTAL.required(), MODEL.required(), CUSTOM_MODE,
                PROMPT, STYLE, TITLE; tuned
            ],
        )
    },
    Operation {
        rule: rule::extension,
        ..song(
            "/api/v1/generate/upload-extend",
            "upload-and-extend-audio",
            "upload_extend",
            members![
                UPLOAD_URL.required(), DEFAULT_PARAM_FLAG.required_directly(), MODEL.required(),
                INSTRUMENTAL, PROMPT, STYLE, TITLE, CONTINUE_AT; tuned
            ],
        )
    },
    song(
        "/api/v1/generate/add-instrumental",
        "add-instrumental",
        "underpainting",
        &[
            UPLOAD_URL.required(),
            TITLE.required(),
            TAGS.required(),
            NEGATIVE_TAGS.required(),
            STYLE_WEIGHT,
            WEIRDNESS,
            AUDIO_WEIGHT,
            VARIETY,
            VOCAL_GENDER,
            LYRICS,
            MODEL,
        ],
    ),
    Operation {
        rule: rule::words,
        ..song(
            "/api/v1/generate/add-vocals",
            "add-vocals",
            "overpainting",
            &[
                UPLOAD_URL.required(),
                TITLE.required(),
                STYLE.required(),
                NEGATIVE_TAGS.required(),
                PROMPT,
                STYLE_WEIGHT,
                WEIRDNESS,
                AUDIO_WEIGHT,
                VARIETY,
                VOCAL_GENDER,
                LYRICS,
                MODEL,
            ],
        )
    },
    Operation {
        rule: rule::section,
        ..song(
            "/api/v1/generate/replace-section",
            "replace-section",
            "replace_section",
            &[
                PROMPT.required(),
                TAGS.required(),
                TITLE.required(),
                Member::number("infillStartS", 0.0, SECONDS_MAX).required(),
                Member::number("infillEndS", 0.0, SECONDS_MAX).required(),
                LYRICS,
                Member::short("fullLyrics", 5000).required_in_jobs(),
                TASK_ID,
                AUDIO_ID,
                UPLOAD_URL,
                NEGATIVE_TAGS,
                MODEL,
            ],
        )
    },
    Operation {
        rule: rule::mashup,
        ..song(
            "/api/v1/generate/mashup",
            "mashup",
            "mashup",
            members![
                Member::urls("uploadUrlList", MASHUP_UPLOADS_MAX).required(),
                MODEL.required(), CUSTOM_MODE.required_directly(), INSTRUMENTAL, PROMPT,
                STYLE.required_in_jobs(), TITLE.required_in_jobs(); tuned
            ],
        )
    },
    Operation {
        price: 250,
        ..song(
            "/api/v1/generate/sounds",
            "sounds",
            "sounds",
            &[
                PROMPT.required(),
                MODEL.required_in_jobs(),
                Member::flag("soundLoop"),
                Member::number("soundTempo", 1.0, 300.0),
                Member::text("soundKey"),
                Member::flag("grabLyrics"),
            ],
        )
    },
    other(
        Product::Lyrics,
        40,
        "/api/v1/lyrics",
        "generate-lyrics",
        &[Member::short_at_sunoapi("prompt", 200).required()],
    ),
    Operation {
        is_once: true,
        ..other(
            Product::Wav,
            40,
            "/api/v1/wav/generate",
            "convert-to-wav-format",
            &[TASK_ID.required(), AUDIO_ID.required()],
        )
    },
    other(
        Product::Video,
        200,
        "/api/v1/mp4/generate",
        "create-music-video",
        &[
            TASK_ID.required(),
            AUDIO_ID.required(),
            Member::short("author", 50),
            Member::short("domainName", 50),
        ],
    ),
    other(
        Product::Stems,
        1000,
        "/api/v1/vocal-removal/generate",
        "separate-vocals",
        &[
            TASK_ID.required_directly(),
            AUDIO_ID.required_directly(),
            Member::word(
                "type",
                &["separate_vocal", "split_stem", "split_stem_advanced"],
            ),
            Member::text("stemName"),
        ],
    ),
    other(
        Product::Midi,
        100,
        "/api/v1/midi/generate",
        "generate-midi-from-audio",
        &[TASK_ID.required(), AUDIO_ID],
    ),
    Operation {
        is_once: true,
        ..other(
            Product::Cover,
            100,
            "/api/v1/suno/cover/generate",
            "cover-generate",
            &[TASK_ID.required()],
        )
    },
    Operation {
        rule: rule::voice_part,
        callback_url: CallbackUrl::Optional(CallbackUrl::NAME),
        ..other(
            Product::VoicePhrase,
            100,
            "/api/v1/voice/validate",
            "validation-phrase",
            &[
                Member::url("voiceUrl").required(),
                Member::number("vocalStartS", 0.0, SECONDS_MAX).required(),
                Member::number("vocalEndS", 0.0, SECONDS_MAX).required(),
                Member::word(
                    "language",
                    &["en", "zh", "es", "fr", "pt", "de", "ja", "ko", "hi", "ru"],
                ),
            ],
        )
    },
    Operation {
        // The provider spells it so.
        callback_url: CallbackUrl::Required("calBackUrl"),
        ..other(
            Product::VoicePhrase,
            100,
            "/api/v1/voice/regenerate",
            "regenerate-phrase",
            &[TASK_ID.required()],
        )
    },
    Operation {
        callback_url: CallbackUrl::Optional(CallbackUrl::NAME),
        ..other(
            Product::Voice,
            100,
            "/api/v1/voice/generate",
            "create-voice",
            &[
                TASK_ID.required(),
                Member::url("verifyUrl").required(),
                Member::text("voiceName"),
                Member::text("description"),
                STYLE,
                Member::word(
                    "singerSkillLevel",
                    &["beginner", "intermediate", "advanced", "professional"],
                ),
            ],
        )
    },
    other(
        Product::VoiceCheck,
        0,
        "/api/v1/voice/check-voice",
        "check-voice",
        &[Member::text("task_id").required()],
    ),
    other(
        Product::Recovery,
        0,
        "/api/v1/suno/recovery",
        "suno-recovery-audio",
        &[Member::text("sunoTaskId")
            .called_in_jobs("task_id")
            .required()],
    ),
    other(
        Product::TimedLyrics,
        50,
        "/api/v1/generate/get-timestamped-lyrics",
        "timeStamped-lyrics",
        &[TASK_ID.required(), AUDIO_ID.required()],
    ),
    Operation {
        rule: rule::persona_part,
        ..other(
            Product::Persona,
            0,
            "/api/v1/generate/generate-persona",
            "generate-persona",
            &[
                TASK_ID.required(),
                AUDIO_ID.required(),
                Member::text("name").required(),
                Member::text("description").required(),
                Member::number("vocalStart", 0.0, SECONDS_MAX),
                Member::number("vocalEnd", 0.0, SECONDS_MAX),
                STYLE,
            ],
        )
    },
    other(
        Product::Style,
        40,
        "/api/v1/style/generate",
        "boost-music-style",
        &[Member::text("content").required()],
    ),
];
