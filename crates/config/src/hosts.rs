//! The configuration files of AI hosts: taking their servers over, and putting the gate in.
//!
//! [`import`](import()) reads what a host has and turns it into a configuration of the gate;
//! [`plan`] writes one entry into a host's file and leaves everything else in it as it is.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

mod connect;
mod import;
mod splice;
mod translate;
mod yaml;

pub use connect::{ConnectLine, Edit, connect_line, connect_lines, inspector_line, plan, remove};
pub(crate) use import::as_configuration;
pub use import::{Imported, ImportedServer, import};
pub use yaml::to_yaml;

/// An AI host whose files we read and write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// Claude Desktop.
    ClaudeDesktop,
    /// Claude Code.
    ClaudeCode,
    /// Cursor.
    Cursor,
    /// Visual Studio Code.
    VsCode,
    /// Codex.
    Codex,
    /// Gemini CLI.
    Gemini,
}

/// The operating system, which decides where hosts keep their files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Os {
    /// Linux and the other Unixes.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

/// For whom a file counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// For the user, in every project.
    User,
    /// For one project.
    Project,
}

/// A place where a host keeps a configuration, whether or not there is a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFile {
    /// The host.
    pub host: Host,
    /// For whom it counts.
    pub scope: Scope,
    /// The file.
    pub path: PathBuf,
}

/// A name that is none of the hosts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown host; known are claude-desktop, claude-code, cursor, vscode, codex and gemini")]
pub struct UnknownHost;

// === impl Host ===

impl Host {
    /// Every host.
    pub const ALL: [Self; 6] = [
        Self::ClaudeDesktop,
        Self::ClaudeCode,
        Self::Cursor,
        Self::VsCode,
        Self::Codex,
        Self::Gemini,
    ];

    /// The name for command lines, such as `claude-code`.
    pub const fn id(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "claude-desktop",
            Self::ClaudeCode => "claude-code",
            Self::Cursor => "cursor",
            Self::VsCode => "vscode",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
        }
    }

    /// The name for people, such as `Claude Code`.
    pub const fn title(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "Claude Desktop",
            Self::ClaudeCode => "Claude Code",
            Self::Cursor => "Cursor",
            Self::VsCode => "VS Code",
            Self::Codex => "Codex",
            Self::Gemini => "Gemini CLI",
        }
    }

    /// The host's file for the user.
    pub fn user_file(self, home: &Path, os: Os) -> PathBuf {
        let application = match os {
            Os::Linux => ".config",
            Os::MacOs => "Library/Application Support",
            Os::Windows => "AppData/Roaming",
        };
        let file = match self {
            Self::ClaudeDesktop => format!("{application}/Claude/claude_desktop_config.json"),
            Self::ClaudeCode => ".claude.json".to_owned(),
            Self::Cursor => ".cursor/mcp.json".to_owned(),
            Self::VsCode => format!("{application}/Code/User/mcp.json"),
            Self::Codex => ".codex/config.toml".to_owned(),
            Self::Gemini => ".gemini/settings.json".to_owned(),
        };
        home.join(file)
    }

    /// The host's file for one project, if the host has such files.
    pub fn project_file(self, project: &Path) -> Option<PathBuf> {
        let file = match self {
            Self::ClaudeDesktop => return None,
            Self::ClaudeCode => ".mcp.json",
            Self::Cursor => ".cursor/mcp.json",
            Self::VsCode => ".vscode/mcp.json",
            Self::Codex => ".codex/config.toml",
            Self::Gemini => ".gemini/settings.json",
        };
        Some(project.join(file))
    }

    /// The member of a host's file that holds its servers.
    const fn container(self) -> &'static str {
        match self {
            Self::VsCode => "servers",
            Self::Codex => "mcp_servers",
            Self::ClaudeDesktop | Self::ClaudeCode | Self::Cursor | Self::Gemini => "mcpServers",
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

impl FromStr for Host {
    type Err = UnknownHost;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|host| host.id() == text).ok_or(UnknownHost)
    }
}

// === impl Os ===

impl Os {
    /// The system that this program was built for.
    pub const fn current() -> Self {
        if cfg!(target_os = "macos") {
            Self::MacOs
        } else if cfg!(windows) {
            Self::Windows
        } else {
            Self::Linux
        }
    }
}

/// Every file that some host may have: for the user, and for a project if one is given.
pub fn host_files(home: &Path, project: Option<&Path>, os: Os) -> Vec<HostFile> {
    let mut files = Vec::new();
    for host in Host::ALL {
        let path = host.user_file(home, os);
        files.push(HostFile { host, scope: Scope::User, path });
        if let Some(path) = project.and_then(|project| host.project_file(project))
            && files.iter().all(|file| file.path != path)
        {
            files.push(HostFile { host, scope: Scope::Project, path });
        }
    }
    files
}

#[cfg(test)]
mod tests;
