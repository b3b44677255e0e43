//! Events: what happened, told to those who listen and remembered for a while.

use crate::{
    error::{Error, Result},
    filters::Filters,
    options::EventsOptions,
    streams::EventStream,
};
use brig_api::{EventActor, EventMessage};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};
use tokio::sync::{broadcast, mpsc};

/// How many events are remembered.
const REMEMBERED: usize = 256;
/// How many events a slow listener may be behind before it loses the oldest of them.
const BACKLOG: usize = 1024;
/// How many events wait for a listener's connection.
const STREAM: usize = 64;

const KNOWN_FILTERS: [&str; 14] = [
    "config",
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "node",
    "plugin",
    "scope",
    "secret",
    "service",
    "type",
    "volume",
];

/// Where events go.
#[derive(Debug)]
pub(crate) struct Events {
    remembered: Mutex<VecDeque<EventMessage>>,
    live: broadcast::Sender<EventMessage>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            remembered: Mutex::new(VecDeque::with_capacity(REMEMBERED)),
            live: broadcast::Sender::new(BACKLOG),
        }
    }
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    Container,
    Image,
    Network,
    Volume,
}

impl About {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Network => "network",
            Self::Volume => "volume",
        }
    }
}

impl Events {
    /// Tells an event.
    pub(crate) fn tell(
        &self,
        about: About,
        action: impl Into<String>,
        id: impl Into<String>,
        attributes: BTreeMap<String, String>,
    ) {
        let event = message(about, action.into(), id.into(), attributes, Timestamp::now());
        // Sent under the lock: a listener that subscribes under it gets each event once.
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() == REMEMBERED {
            remembered.pop_front();
        }
        remembered.push_back(event.clone());
        // No listener is no failure.
        let _ = self.live.send(event);
    }

    /// How many listen.
    pub(crate) fn listeners(&self) -> i64 {
        i64::try_from(self.live.receiver_count()).unwrap_or(i64::MAX)
    }

    /// Listens: first remembered events from `since` on, then new ones until `until`.
    pub(crate) fn listen(&self, options: EventsOptions) -> Result<EventStream> {
        options.filters.validate(&KNOWN_FILTERS)?;
        let now = Timestamp::now();
        if let (Some(since), Some(until)) = (options.since, options.until)
            && until < since
        {
            return Err(Error::Invalid(format!(
                "`since` time ({}) cannot be after `until` time ({})",
                since.as_second(),
                until.as_second()
            )));
        }
        let (past, live) = {
            let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
            let past = options.since.map_or_else(Vec::new, |since| select(&remembered, since, &options));
            (past, self.live.subscribe())
        };
        let (sender, stream) = EventStream::channel(STREAM);
        let ended = options.until.is_some_and(|until| until <= now);
        tokio::spawn(async move {
            for event in past {
                if sender.send(event).await.is_err() {
                    return;
                }
            }
            if !ended {
                forward(live, sender, &options).await;
            }
        });
        Ok(stream)
    }
}

fn select(
    remembered: &VecDeque<EventMessage>,
    since: Timestamp,
    options: &EventsOptions,
) -> Vec<EventMessage> {
    let from = nanos(since);
    let to = options.until.map_or(i64::MAX, nanos);
    let within = |event: &&EventMessage| event.time_nano >= from && event.time_nano <= to;
    remembered.iter().filter(within).filter(|event| passes(&options.filters, event)).cloned().collect()
}

async fn forward(
    mut live: broadcast::Receiver<EventMessage>,
    sender: mpsc::Sender<EventMessage>,
    options: &EventsOptions,
) {
    let end = async {
        match options.until {
            Some(until) => {
                let left = until.duration_since(Timestamp::now());
                tokio::time::sleep(left.try_into().unwrap_or_default()).await;
            }
            None => std::future::pending().await,
        }
    };
    tokio::pin!(end);
    loop {
        let event = tokio::select! {
            () = &mut end => return,
            () = sender.closed() => return,
            event = live.recv() => event,
        };
        match event {
            Ok(event) if passes(&options.filters, &event) => {
                if sender.send(event).await.is_err() {
                    return;
                }
            }
            Ok(_) => {}
            Err(broadcast::error::RecvError::Lagged(lost)) => {
                tracing::warn!(lost, "a listener to events is too slow and lost some");
            }
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

fn nanos(at: Timestamp) -> i64 {
    brig_api::Time(at).unix_nano()
}

fn message(
    about: About,
    action: String,
    id: String,
    attributes: BTreeMap<String, String>,
    at: Timestamp,
) -> EventMessage {
    // The old fields are told of containers and images only.
    let old = matches!(about, About::Container | About::Image);
    let from = match about {
        About::Container => attributes.get("image").cloned().unwrap_or_default(),
        About::Image | About::Network | About::Volume => String::new(),
    };
    EventMessage {
        status: if old { action.clone() } else { String::new() },
        id: if old { id.clone() } else { String::new() },
        from,
        kind: about.as_str().to_owned(),
        action,
        actor: EventActor { id, attributes },
        scope: "local".to_owned(),
        time: at.as_second(),
        time_nano: nanos(at),
    }
}

/// Whether an event passes, as Docker reads the filters.
fn passes(filters: &Filters, event: &EventMessage) -> bool {
    let action = event.action.split(':').next().unwrap_or_default();
    let actor = &event.actor;
    let named = |key: &str| {
        let name = actor.attributes.get("name").map_or("", String::as_str);
        !filters.contains(key)
            || (event.kind == key
                && (filters.exact(key, &actor.id)
                    || filters.prefix(key, &actor.id)
                    || filters.exact(key, name)))
    };
    (filters.exact("event", &event.action) || filters.exact("event", action))
        && filters.exact("type", &event.kind)
        && filters.exact("scope", &event.scope)
        && filters.labels("label", Some(&actor.attributes))
        && ["container", "network", "volume", "plugin", "service", "node", "secret", "config"]
            .into_iter()
            .all(named)
        && daemon_passes(filters, event)
        && image_passes(filters, event)
}

fn daemon_passes(filters: &Filters, event: &EventMessage) -> bool {
    !filters.contains("daemon") || event.kind == "daemon"
}

/// An image's events are found by its id or name, a container's by the image it was made from; tags may be left
/// out.
fn image_passes(filters: &Filters, event: &EventMessage) -> bool {
    if !filters.contains("image") {
        return true;
    }
    let attribute = if event.kind == "image" { "name" } else { "image" };
    let name = event.actor.attributes.get(attribute).map_or("", String::as_str);
    let without_tag = match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    };
    [event.actor.id.as_str(), name, without_tag].into_iter().any(|text| filters.exact("image", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tell(events: &Events, action: &str, id: &str, image: &str) {
        let attributes = BTreeMap::from([
            ("image".to_owned(), image.to_owned()),
            ("name".to_owned(), format!("name-{id}")),
            ("colour".to_owned(), "red".to_owned()),
        ]);
        events.tell(About::Container, action, id, attributes);
    }

    async fn past(events: &Events, filters: &[(&str, &str)]) -> Vec<String> {
        let mut options = EventsOptions {
            since: Some(Timestamp::UNIX_EPOCH),
            until: Some(Timestamp::now()),
            ..EventsOptions::default()
        };
        for (key, value) in filters {
            options.filters.add(*key, *value);
        }
        let mut stream = events.listen(options).unwrap();
        let mut seen = Vec::new();
        while let Some(event) = stream.next().await {
            seen.push(event.action);
        }
        seen
    }

    #[tokio::test]
    async fn only_the_newest_are_remembered() {
        let events = Events::default();
        for n in 0..REMEMBERED + 10 {
            tell(&events, &format!("a{n}"), "x", "busybox");
        }
        let seen = past(&events, &[]).await;
        assert_eq!((seen.len(), seen[0].as_str()), (REMEMBERED, "a10"));
    }

    #[tokio::test]
    async fn filters_pick_events() {
        let events = Events::default();
        tell(&events, "start", "abc", "busybox:1");
        tell(&events, "exec_create: sh -c true", "abc", "busybox:1");
        tell(&events, "die", "def", "alpine");
        for (filter, seen) in [
            (("event", "exec_create"), vec!["exec_create: sh -c true"]),
            (("event", "exec_create: sh -c true"), vec!["exec_create: sh -c true"]),
            (("container", "name-def"), vec!["die"]),
            (("container", "ab"), vec!["start", "exec_create: sh -c true"]),
            (("image", "busybox"), vec!["start", "exec_create: sh -c true"]),
            (("image", "busybox:1"), vec!["start", "exec_create: sh -c true"]),
            (("type", "image"), vec![]),
            (("label", "colour=red"), vec!["start", "exec_create: sh -c true", "die"]),
            (("label", "colour=blue"), vec![]),
        ] {
            assert_eq!(past(&events, &[filter]).await, seen, "{filter:?}");
        }
    }

    #[tokio::test]
    async fn a_listener_gets_what_comes_and_ends_in_time() {
        let events = Events::default();
        tell(&events, "before", "abc", "busybox");
        let options = EventsOptions {
            until: Some(Timestamp::now() + jiff::SignedDuration::from_millis(200)),
            ..EventsOptions::default()
        };
        let mut stream = events.listen(options).unwrap();
        tell(&events, "after", "abc", "busybox");
        assert_eq!(stream.next().await.unwrap().action, "after");
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn wrong_requests_are_refused() {
        let events = Events::default();
        let mut filters = Filters::default();
        filters.add("colour", "red");
        let options = EventsOptions { filters, ..EventsOptions::default() };
        assert_eq!(events.listen(options).unwrap_err().to_string(), "invalid filter 'colour'");
        let backwards = EventsOptions {
            since: Some(Timestamp::constant(2, 0)),
            until: Some(Timestamp::constant(1, 0)),
            ..EventsOptions::default()
        };
        events.listen(backwards).unwrap_err();
    }
}
