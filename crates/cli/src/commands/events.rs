//! `events`.

use super::{filters, filters_json};
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    error::{Error, Result},
    flags::{Flag, Mode, Parsed},
    format::timestamp,
    out,
    template::{
        MissingKey, Template, Value,
        value::{Field, Struct},
    },
};
use brig_api::EventMessage;
use std::rc::Rc;

/// `brig events`
pub static EVENTS: Command = Command {
    paths: &["events", "system events"],
    synopsis: "",
    about: "Show what happens in the daemon, as it happens",
    examples: &[("events --filter type=container --since 1h", "The last hour of containers, and what comes")],
    flags: &[&[
        Flag::filter("filter", "Show only what meets a condition").short('f'),
        Flag::string("format", super::OBJECT_FORMAT),
        Flag::string("since", "Show what happened since this time"),
        Flag::string("until", "Show what happens until this time"),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::None,
    run: |cli, flags| -> Running<'_> { Box::pin(async move { events(cli, &flags).await }) },
};

/// How an event is printed.
enum Shape {
    Line,
    Json,
    Template(Template),
}

async fn events(cli: &Cli, flags: &Parsed) -> Result {
    let shape = match flags.get("format") {
        "" => Shape::Line,
        "json" => Shape::Json,
        text => Shape::Template(
            Template::parse(text)
                .map_err(|e| Error::Exit { message: format!("Error parsing format: {e}"), code: 64 })?,
        ),
    };
    let now = jiff::Timestamp::now();
    let time = |name: &str| match flags.get(name) {
        "" => Ok(String::new()),
        text => timestamp::since(text, now).map_err(Error::Message),
    };
    let answer = cli
        .client()?
        .get("/events")
        .query_nonempty("filters", filters_json(&filters(flags.all("filter"))))
        .query_nonempty("since", time("since")?)
        .query_nonempty("until", time("until")?)
        .response()
        .await?;
    let mut events = answer.into_values::<EventMessage>();
    while let Some(event) = events.next().await? {
        match &shape {
            Shape::Line => out::line(&line(&event))?,
            Shape::Json => {
                let json = brig_api::json::to_line(&event).map_err(|e| Error::Message(e.to_string()))?;
                out::write(&json)?;
            }
            Shape::Template(template) => {
                let text = template.execute(&value(&event), MissingKey::NoValue).map_err(Error::Message)?;
                out::line(&text)?;
            }
        }
    }
    Ok(())
}

fn line(event: &EventMessage) -> String {
    let time = if event.time_nano != 0 {
        timestamp::rfc3339_nano_local(event.time_nano)
    } else {
        timestamp::rfc3339_nano_local(event.time * 1_000_000_000)
    };
    let attributes: Vec<String> = event.actor.attributes.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let attributes =
        if attributes.is_empty() { String::new() } else { format!(" ({})", attributes.join(", ")) };
    format!("{time} {} {} {}{attributes}", event.kind, event.action, event.actor.id)
}

fn value(event: &EventMessage) -> Value {
    let field = |name: &'static str, json: &'static str, value: Value| Field {
        name: name.into(),
        json: json.into(),
        value,
        omit_empty: !matches!(name, "Type" | "Action" | "Actor"),
    };
    let attributes = event.actor.attributes.iter().map(|(k, v)| (k.as_str(), v.as_str()));
    let actor = Struct {
        type_name: "events.Actor",
        fields: vec![
            Field { omit_empty: false, ..field("ID", "ID", (&event.actor.id).into()) },
            Field { omit_empty: false, ..field("Attributes", "Attributes", Value::text_map(attributes)) },
        ],
    };
    Value::Struct(Rc::new(Struct {
        type_name: "events.Message",
        fields: vec![
            field("Status", "status", (&event.status).into()),
            field("ID", "id", (&event.id).into()),
            field("From", "from", (&event.from).into()),
            field("Type", "Type", (&event.kind).into()),
            field("Action", "Action", (&event.action).into()),
            field("Actor", "Actor", Value::Struct(Rc::new(actor))),
            field("Scope", "scope", (&event.scope).into()),
            field("Time", "time", event.time.into()),
            field("TimeNano", "timeNano", event.time_nano.into()),
        ],
    }))
}
