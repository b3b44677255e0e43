//! `login` and `logout`.

use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    credentials::{self, Auth, HUB},
    error::{Error, Result},
    flags::{Flag, Mode, Parsed},
    out, terminal,
};
use serde::Deserialize;
use std::io::{self, BufRead, Read};

/// `brig login`
pub static LOGIN: Command = Command {
    paths: &["login"],
    synopsis: "[SERVER]",
    about: "Prove to a registry who you are, and keep what proves it",
    examples: &[(
        "login -u alice --password-stdin registry.example:5000 < password",
        "Without being asked anything",
    )],
    flags: &[&[
        Flag::string("password", "Password, which others can see in the list of processes").short('p'),
        Flag::switch("password-stdin", "Read the password from STDIN"),
        Flag::string("username", "Name").short('u'),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::AtMost(1),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { login(cli, &flags).await }) },
};

/// `brig logout`
pub static LOGOUT: Command = Command {
    paths: &["logout"],
    synopsis: "[SERVER]",
    about: "Forget what proves to a registry who you are",
    examples: &[],
    flags: &[],
    mode: Mode::Interspersed,
    operands: Operands::AtMost(1),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { logout(cli, &flags) }) },
};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Answer {
    status: String,
    identity_token: String,
}

/// A server as the user calls it: how it is kept.
fn registry(flags: &Parsed) -> String {
    match flags.args.first().map(|server| server.trim()) {
        None | Some("") => HUB.to_owned(),
        Some(server) => {
            let bare =
                server.strip_prefix("https://").or_else(|| server.strip_prefix("http://")).unwrap_or(server);
            let host = bare.split('/').next().unwrap_or(bare);
            credentials::key(host)
        }
    }
}

async fn login(cli: &Cli, flags: &Parsed) -> Result {
    let registry = registry(flags);
    let mut username = flags.get("username").trim().to_owned();
    let mut password = flags.get("password").to_owned();
    if !password.is_empty() {
        out::warn("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
        if flags.on("password-stdin") {
            return Err("--password and --password-stdin are mutually exclusive".into());
        }
    }
    if flags.on("password-stdin") {
        if username.is_empty() {
            return Err("Must provide --username with --password-stdin".into());
        }
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        password = text.trim_end_matches('\n').trim_end_matches('\r').to_owned();
    }
    let kept = credentials::find(cli.config(), &registry)?;
    if username.is_empty()
        && password.is_empty()
        && !(kept.username.is_empty() && kept.identity_token.is_empty())
    {
        out::line("Authenticating with existing credentials...")?;
        match authenticate(cli, &kept).await {
            Ok(answer) => return keep(cli, &registry, kept, answer),
            Err(e) => out::warn(&format!("Login did not succeed, error: {e}")),
        }
    }
    if username.is_empty() || password.is_empty() {
        ask(&kept.username, &mut username, &mut password)?;
    }
    let auth = Auth { username, password, server_address: registry.clone(), ..Auth::default() };
    let answer = authenticate(cli, &auth).await?;
    keep(cli, &registry, auth, answer)
}

async fn authenticate(cli: &Cli, auth: &Auth) -> Result<Answer> {
    Ok(cli.client()?.post("/auth").body_json(auth).json().await?)
}

fn keep(cli: &Cli, registry: &str, mut auth: Auth, answer: Answer) -> Result {
    if !answer.identity_token.is_empty() {
        auth.password = String::new();
        auth.identity_token = answer.identity_token;
    }
    if credentials::store(cli.config(), registry, &auth)? {
        out::warn(&format!(
            "\nWARNING! Your credentials are stored unencrypted in '{}'.\nConfigure a credential helper to remove this warning. See\nhttps://docs.docker.com/go/credential-store/\n",
            credentials::place(cli.config())
        ));
    }
    out::line(&answer.status)
}

/// Asks on the terminal for what is missing.
fn ask(kept: &str, username: &mut String, password: &mut String) -> Result {
    if !terminal::is_terminal(io::stdin()) {
        return Err("Error: Cannot perform an interactive login from a non TTY device".into());
    }
    if username.is_empty() {
        let hint = if kept.is_empty() { String::new() } else { format!(" ({kept})") };
        out::print(&format!("Username{hint}: "))?;
        *username = line()?;
        if username.is_empty() {
            kept.clone_into(username);
        }
        if username.is_empty() {
            return Err("Error: Non-null Username Required".into());
        }
    }
    if password.is_empty() {
        out::print("Password: ")?;
        *password = terminal::without_echo(line)??;
        out::print("\n")?;
        if password.is_empty() {
            return Err("Error: Password Required".into());
        }
    }
    Ok(())
}

fn line() -> Result<String> {
    let mut text = String::new();
    io::stdin().lock().read_line(&mut text)?;
    Ok(text.trim_end_matches(['\n', '\r']).trim().to_owned())
}

fn logout(cli: &Cli, flags: &Parsed) -> Result {
    let registry = registry(flags);
    let shown = if registry == HUB { HUB } else { &registry };
    if !credentials::is_known(cli.config(), &registry)? {
        return out::line(&format!("Not logged in to {shown}"));
    }
    out::line(&format!("Removing login credentials for {shown}"))?;
    credentials::erase(cli.config(), &registry)
        .map_err(|e| Error::Message(format!("WARNING: could not erase credentials:\n{e}")))
}
