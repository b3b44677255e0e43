//! `system df -v`: each image, container and volume.

use super::super::{images, ps, volume};
use crate::{
    error::{Error, Result},
    format::{age, size},
    list, out,
    template::{
        MissingKey, Object, Template, Value,
        value::{Field, Struct},
    },
};
use brig_api::SystemDf;
use std::rc::Rc;

const IMAGES: &str = "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}";
const CONTAINERS: &str = "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}";
const VOLUMES: &str = "table {{.Name}}\t{{.Links}}\t{{.Size}}";
/// There is never a line below it: nothing is built.
const BUILD_CACHE: &str = "CACHE ID   CACHE TYPE   SIZE      CREATED   LAST USED   USAGE     SHARED\n";

/// Prints all of it, as tables or by a template over the four lists.
pub(super) fn print(usage: SystemDf, format: &str) -> Result {
    let plain = matches!(format, "" | "table");
    let now = age::now();
    // A template gets whole ids and commands.
    let full = !plain;
    // One line an image, whatever names it has.
    let image = |image: brig_api::ImageSummary| {
        let name = image.repo_tags.first().and_then(|name| name.rsplit_once(':'));
        let (repository, tag) = name.unwrap_or(("<none>", "<none>"));
        let (repository, tag) = (repository.to_owned(), tag.to_owned());
        let digest = String::new();
        Rc::new(images::Entry { image: Rc::new(image), repository, tag, digest, full, now }) as Rc<dyn Object>
    };
    let container = |mut c: brig_api::ContainerSummary| {
        // The image's size is told with the images.
        c.size_root_fs = 0;
        Rc::new(ps::Entry { c, full, now }) as Rc<dyn Object>
    };
    let lists = Lists {
        images: usage.images.unwrap_or_default().into_iter().map(image).collect(),
        containers: usage.containers.unwrap_or_default().into_iter().map(container).collect(),
        volumes: volume::entries(usage.volumes.unwrap_or_default()),
    };
    if plain { lists.tables() } else { lists.template(format) }
}

#[derive(Debug)]
struct Lists {
    images: Vec<Rc<dyn Object>>,
    containers: Vec<Rc<dyn Object>>,
    volumes: Vec<Rc<dyn Object>>,
}

impl Lists {
    fn tables(self) -> Result {
        let mut text = "Images space usage:\n\n".to_owned();
        text.push_str(&list::render("", IMAGES, images::HEADERS, self.images)?);
        text.push_str("\nContainers space usage:\n\n");
        text.push_str(&list::render("", CONTAINERS, ps::HEADERS, self.containers)?);
        text.push_str("\nLocal Volumes space usage:\n\n");
        text.push_str(&list::render("", VOLUMES, volume::HEADERS, self.volumes)?);
        text.push_str(&format!("\nBuild cache usage: {}\n\n{BUILD_CACHE}", size::human(0.0)));
        out::print(&text)
    }

    fn template(self, format: &str) -> Result {
        let format = if format == "json" { "{{json .}}" } else { format };
        let text = format.replace("\\t", "\t").replace("\\n", "\n");
        let template =
            Template::parse(&text).map_err(|e| Error::Message(format!("failed to parse template: {e}")))?;
        let list = |name: &str, entries: Vec<Rc<dyn Object>>| Field {
            name: name.into(),
            json: name.into(),
            value: Value::List(entries.into_iter().map(Value::Object).collect()),
            omit_empty: false,
        };
        let fields = vec![
            list("Images", self.images),
            list("Containers", self.containers),
            list("Volumes", self.volumes),
            list("BuildCache", Vec::new()),
        ];
        let all = Struct { type_name: "formatter.diskUsageContext", fields };
        let text = template
            .execute(&Value::Struct(Rc::new(all)), MissingKey::NoValue)
            .map_err(|e| Error::Message(format!("failed to execute template: {e}")))?;
        out::print(&text)
    }
}
