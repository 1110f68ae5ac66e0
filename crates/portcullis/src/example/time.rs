//! Clocks and time zones: tools, resources, a template, completions and a prompt. The time zone database
//! is part of the binary, so answers are the same on every machine.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, Zoned};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::server::{
    About, Answer, Arguments, Effect, Failure, Freshness, Kind, Page, Parameter, Prompt, Server,
    Subject, Tool, text_block,
};

/// The list of all zones.
const ZONES_URI: &str = "time://zones";
/// One zone, now.
const ZONE_TEMPLATE: &str = "time://zones/{+zone}";
/// No zone's name is longer than 32 characters; room for mistakes that deserve a good answer.
const ZONE: Kind = Kind::Text { chars_max: 64 };
/// How many similar names an error suggests.
const SUGGESTIONS: usize = 5;

/// The server.
pub(super) struct Time {
    zones: TimeZoneDatabase,
}

impl Time {
    pub(super) fn new() -> Self {
        Self { zones: TimeZoneDatabase::bundled() }
    }

    fn zone(&self, name: &str) -> Result<TimeZone, String> {
        self.zones.get(name).map_err(|_| {
            let similar = self.names_like(name.rsplit('/').next().unwrap_or(name));
            let similar: Vec<_> = similar.into_iter().take(SUGGESTIONS).collect();
            if similar.is_empty() {
                format!("unknown time zone `{name}`; list_time_zones finds names")
            } else {
                format!("unknown time zone `{name}`; similar: {}", similar.join(", "))
            }
        })
    }

    /// Names that contain `part`, whatever its case; a space stands for an underscore.
    fn names_like(&self, part: &str) -> Vec<String> {
        let part = part.trim().replace(' ', "_").to_ascii_lowercase();
        let mut names: Vec<_> = self
            .zones
            .available()
            .map(|name| name.as_str().to_owned())
            .filter(|name| name.to_ascii_lowercase().contains(&part))
            .collect();
        names.sort();
        names
    }

    fn names_starting_with(&self, typed: &str) -> Vec<String> {
        let typed = typed.to_ascii_lowercase();
        let mut names = self.names_like(&typed);
        names.retain(|name| name.to_ascii_lowercase().starts_with(&typed));
        names
    }
}

impl Server for Time {
    const ABOUT: About = About {
        name: "portcullis-example-time",
        title: "Time",
        instructions: "Current time and conversion between time zones. Zones have IANA names such as \
                       Europe/Berlin; list_time_zones finds them.",
    };
    const RESOURCES: Freshness = Freshness { ttl_ms: 1_000, scope: "public" };

    const TOOLS: &'static [Tool<Self>] = &[
        Tool {
            name: "current_time",
            title: "Current time",
            description: "Tells the date and time now in a time zone.",
            parameters: &[Parameter::optional(
                "timezone",
                ZONE,
                "IANA name such as Asia/Tokyo; UTC if left out.",
            )],
            output: moment_schema,
            effect: Effect::Reads,
            call: current_time,
        },
        Tool {
            name: "convert_time",
            title: "Convert a time",
            description: "Converts a time from one time zone to another.",
            parameters: &[
                Parameter::required(
                    "time",
                    Kind::Text { chars_max: 64 },
                    "`14:30` for today, or `2026-05-01T14:30`, on the clocks of `from`.",
                ),
                Parameter::required("from", ZONE, "IANA name of the zone the time is given in."),
                Parameter::required("to", ZONE, "IANA name of the zone to convert to."),
            ],
            output: || {
                json!({
                    "type": "object",
                    "properties": {
                        "from": moment_schema(),
                        "to": moment_schema(),
                        "difference_minutes": {
                            "type": "integer",
                            "description": "How far the clocks of `to` are ahead.",
                        },
                        "note": {
                            "type": "string",
                            "description": "Given where the time occurs twice or not at all.",
                        },
                    },
                    "required": ["from", "to", "difference_minutes"],
                })
            },
            effect: Effect::Reads,
            call: convert_time,
        },
        Tool {
            name: "list_time_zones",
            title: "Find time zones",
            description: "Finds time zones by a part of their name, with their present offset.",
            parameters: &[
                Parameter::optional(
                    "query",
                    Kind::Text { chars_max: 64 },
                    "A part of the name, such as `america/` or `new york`; all if left out.",
                ),
                Parameter::optional(
                    "limit",
                    Kind::Integer { min: 1, max: 1_000, default: 50 },
                    "Most zones to list.",
                ),
            ],
            output: || {
                json!({
                    "type": "object",
                    "properties": {
                        "zones": { "type": "array", "items": moment_schema() },
                        "total": { "type": "integer", "description": "How many zones match." },
                    },
                    "required": ["zones", "total"],
                })
            },
            effect: Effect::Reads,
            call: list_time_zones,
        },
    ];

    const PROMPTS: &'static [Prompt<Self>] = &[Prompt {
        name: "plan_meeting",
        title: "Plan a meeting",
        description: "Asks for meeting times that suit people in two time zones.",
        parameters: &[
            Parameter::required("here", ZONE, "IANA name of the first zone."),
            Parameter::required("there", ZONE, "IANA name of the second zone."),
        ],
        write: plan_meeting,
    }];

    fn templates(&self) -> Vec<Value> {
        vec![json!({
            "uriTemplate": ZONE_TEMPLATE,
            "name": "zone",
            "title": "A time zone",
            "description": "Present time and offset of one time zone.",
            "mimeType": "application/json",
        })]
    }

    fn resources(&self, cursor: Option<&str>) -> Result<Page, Failure> {
        if cursor.is_some() {
            let message = "`cursor` was not made by this server; there is only one page";
            return Err(Failure::Invalid(message.to_owned()));
        }
        let zones = json!({
            "uri": ZONES_URI,
            "name": "zones",
            "title": "Time zones",
            "description": "The names of all time zones.",
            "mimeType": "application/json",
        });
        Ok(Page { resources: vec![zones], next_cursor: None })
    }

    fn read(&self, uri: &str) -> Result<Vec<Value>, Failure> {
        let content = if uri == ZONES_URI {
            json!(self.names_like(""))
        } else {
            let no_resource = || Failure::NoResource(uri.to_owned());
            let name = uri.strip_prefix("time://zones/").ok_or_else(no_resource)?;
            moment(&Timestamp::now().to_zoned(self.zone(name).map_err(|_| no_resource())?))
        };
        let text = content.to_string();
        Ok(vec![json!({ "uri": uri, "mimeType": "application/json", "text": text })])
    }

    fn complete(&self, subject: Subject<'_>, argument: &str, typed: &str) -> Option<Vec<String>> {
        let known = match subject {
            Subject::Prompt(name) => name == "plan_meeting" && matches!(argument, "here" | "there"),
            Subject::Template(uri) => uri == ZONE_TEMPLATE && argument == "zone",
        };
        known.then(|| self.names_starting_with(typed))
    }
}

fn moment_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "timezone": { "type": "string" },
            "time": { "type": "string", "description": "RFC 3339, with the offset." },
            "weekday": { "type": "string" },
            "abbreviation": { "type": "string" },
            "daylight_saving": { "type": "boolean" },
        },
        "required": ["timezone", "time", "weekday", "abbreviation", "daylight_saving"],
    })
}

/// A moment on the clocks of a zone.
fn moment(zoned: &Zoned) -> Value {
    let offset = zoned.time_zone().to_offset_info(zoned.timestamp());
    json!({
        "timezone": zoned.time_zone().iana_name().unwrap_or("UTC"),
        "time": zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        "weekday": zoned.strftime("%A").to_string(),
        "abbreviation": offset.abbreviation(),
        "daylight_saving": offset.dst().is_dst(),
    })
}

fn current_time(
    time: &Time,
    arguments: &Arguments,
    _: &CancellationToken,
) -> Result<Answer, String> {
    let zone = time.zone(arguments.text("timezone").unwrap_or("UTC"))?;
    Ok(moment(&Timestamp::now().to_zoned(zone)).into())
}

fn convert_time(
    time: &Time,
    arguments: &Arguments,
    _: &CancellationToken,
) -> Result<Answer, String> {
    let from = time.zone(arguments.required_text("from"))?;
    let to = time.zone(arguments.required_text("to"))?;
    let clock = read_clock(arguments.required_text("time"), &from)?;
    let ambiguous = from.to_ambiguous_zoned(clock);
    let note = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => None,
        AmbiguousOffset::Gap { .. } => {
            Some("the clocks of `from` skip this time; the time after the jump is used")
        }
        AmbiguousOffset::Fold { .. } => {
            Some("the clocks of `from` show this time twice; the first one is used")
        }
    };
    let source = ambiguous
        .compatible()
        .map_err(|error| format!("argument `time` is outside what can be computed: {error}"))?;
    let target = source.with_time_zone(to);
    let difference = target.offset().seconds() - source.offset().seconds();
    let mut result = json!({
        "from": moment(&source),
        "to": moment(&target),
        "difference_minutes": difference.div_euclid(60),
    });
    if let Some(note) = note {
        result["note"] = note.into();
    }
    Ok(result.into())
}

/// Reads `14:30` as a time of today in `zone`, or a date with a time.
fn read_clock(text: &str, zone: &TimeZone) -> Result<DateTime, String> {
    let text = text.trim();
    if let Ok(full) = text.parse::<DateTime>() {
        return Ok(full);
    }
    let time = text.parse::<jiff::civil::Time>().map_err(|_| {
        format!("argument `time` must look like `14:30` or `2026-05-01T14:30`, not `{text}`")
    })?;
    Ok(Timestamp::now().to_zoned(zone.clone()).date().to_datetime(time))
}

#[expect(clippy::unnecessary_wraps, reason = "all tools have this shape")]
fn list_time_zones(
    time: &Time,
    arguments: &Arguments,
    _: &CancellationToken,
) -> Result<Answer, String> {
    let names = time.names_like(arguments.text("query").unwrap_or(""));
    let now = Timestamp::now();
    let zones: Vec<_> = names
        .iter()
        .take(arguments.count("limit"))
        .filter_map(|name| time.zones.get(name).ok())
        .map(|zone| moment(&now.to_zoned(zone)))
        .collect();
    Ok(json!({ "zones": zones, "total": names.len() }).into())
}

fn plan_meeting(time: &Time, arguments: &Arguments) -> Result<Vec<Value>, Failure> {
    let now = Timestamp::now();
    let here = time.zone(arguments.required_text("here")).map_err(Failure::Invalid)?;
    let there = time.zone(arguments.required_text("there")).map_err(Failure::Invalid)?;
    let (here, there) = (now.to_zoned(here), now.to_zoned(there));
    let text = format!(
        "Find the best times of the next five working days for a meeting of one hour between \
         people in two time zones, within 9:00 to 18:00 for both where possible. Mind changes of \
         the clocks in between. Now it is {} and {}.",
        moment(&here),
        moment(&there),
    );
    Ok(vec![json!({ "role": "user", "content": text_block(&text) })])
}
