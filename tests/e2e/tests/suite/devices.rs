//! Devices that vendors describe, and images as mounts.

use brig_e2e::{Client, Host};

const VENDOR: &str = r#"{"cdiVersion":"0.6.0","kind":"vendor.com/class","devices":[
    {"name":"x","containerEdits":{"env":["DEVICE=x"],"deviceNodes":[{"path":"/dev/special","hostPath":"/dev/zero"}],
        "hooks":[{"hookName":"createContainer","path":"/bin/sh","args":["sh","-c","cat > MARK"]}]}}],
    "containerEdits":{"env":["COMMON=1"],"mounts":[{"hostPath":"FOLDER","containerPath":"/vendor","options":["ro"]}]}}"#;

const GPUS: &str = r#"{"cdiVersion":"0.6.0","kind":"nvidia.com/gpu","devices":[
    {"name":"0","containerEdits":{"env":["GPU0=y"]}},{"name":"all","containerEdits":{"env":["GPU=all"]}}]}"#;

#[test]
fn devices_by_their_vendors_names() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start_with(&["--cdi-spec-dir", folder.path().to_str().unwrap()], &[]);
    host.import_busybox();
    let mark = folder.path().join("mark");
    let vendor =
        VENDOR.replace("FOLDER", folder.path().to_str().unwrap()).replace("MARK", mark.to_str().unwrap());
    std::fs::write(folder.path().join("vendor.json"), vendor).unwrap();
    for client in Client::available() {
        let run = |flags: &[&str], program: &str| {
            client.run(&host, &[&["run", "--rm"], flags, &["busybox", "sh", "-c", program]].concat())
        };
        let program =
            "head -c 3 /dev/special | wc -c; echo $DEVICE $COMMON; ls /vendor; touch /vendor/x 2>&1";
        let out = run(&["--device", "vendor.com/class=x"], program);
        assert!(
            out.stdout.starts_with("3\nx 1\n")
                && out.stdout.contains("vendor.json")
                && out.stdout.contains("Read-only"),
            "{out:?}"
        );
        let told = std::fs::read_to_string(&mark).unwrap();
        assert!(told.contains("\"status\":\"creating\""), "{told}");
        run(&["--device", "vendor.com/class=y"], "true")
            .fails(125, "CDI device injection failed: unresolvable CDI devices vendor.com/class=y");
        run(&["--gpus", "all"], "true")
            .fails(125, "could not select device driver \"\" with capabilities: [[gpu]]");
        std::fs::write(folder.path().join("gpu.json"), GPUS).unwrap();
        assert_eq!(run(&["--gpus", "all"], "echo $GPU $GPU0").ok(), "all");
        assert_eq!(run(&["--gpus", "1"], "echo $GPU $GPU0").ok(), "y");
        assert_eq!(run(&["--gpus", "device=0"], "echo $GPU $GPU0").ok(), "y");
        std::fs::remove_file(folder.path().join("gpu.json")).unwrap();
    }
}

#[test]
fn images_as_mounts() {
    let host = Host::start();
    host.import_busybox();
    for client in Client::available() {
        let run = |args: &[&str]| client.run(&host, args);
        let mount = "type=image,source=busybox,target=/image";
        let program = "cat /image/www/index.html; touch /image/x 2>&1; ls /image/dev 2>&1 | wc -l";
        let out = run(&["run", "--rm", "--mount", mount, "busybox", "sh", "-c", program]);
        assert!(out.stdout.starts_with("hello from brig\n") && out.stdout.contains("Read-only"), "{out:?}");
        // Of several layers.
        run(&["run", "--name", "c1", "busybox", "sh", "-c", "rm /www/index.html; echo new > /www/new"]).ok();
        run(&["commit", "c1", "two"]).ok();
        run(&["rm", "c1"]).ok();
        let mount = "type=image,source=two,target=/image";
        run(&["run", "-d", "--name", "c1", "--mount", mount, "busybox", "sleep", "1000"]).ok();
        assert_eq!(run(&["exec", "c1", "ls", "/image/www"]).ok(), "new");
        assert_eq!(
            run(&["inspect", "-f", "{{range .Mounts}}{{.Type}} {{.Source}} {{.RW}}{{end}}", "c1"]).ok(),
            "image two false"
        );
        run(&["rmi", "two"]).fails(1, "is using its referenced image");
        run(&["rm", "-f", "c1"]).ok();
        run(&["rmi", "two"]).ok();
        run(&["create", "--pull", "never", "--mount", mount, "busybox", "true"])
            .fails(1, "No such image: two:latest");
        run(&[
            "create",
            "--mount",
            "type=image,source=busybox,target=/i,image-subpath=etc",
            "busybox",
            "true",
        ])
        .fails(1, "Subpath is not supported");
    }
}
