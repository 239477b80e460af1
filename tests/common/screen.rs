//! A screen that nobody sees, for tests of the editor.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use x11rb::connection::Connection;
use x11rb::protocol::xproto::{ConnectionExt, CreateWindowAux, WindowClass};
use x11rb::rust_connection::RustConnection;

/// An X server with a screen in memory.
pub struct Screen {
    server: Child,
    pub display: String,
}

impl Screen {
    /// `None` where Xvfb isn't installed.
    pub fn start() -> Option<Self> {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1280x900x24", "-noreset", "-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut number = String::new();
        BufReader::new(server.stdout.take()?).read_line(&mut number).ok()?;
        Some(Self { server, display: format!(":{}", number.trim()) })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A host's window, on the display that the environment names.
pub struct Window {
    connection: RustConnection,
    pub id: u32,
}

impl Window {
    pub fn open(width: u16, height: u16) -> Self {
        let (connection, screen) = x11rb::connect(None).unwrap();
        let root = connection.setup().roots[screen].root;
        let id = connection.generate_id().unwrap();
        let kind = WindowClass::INPUT_OUTPUT;
        let aux = CreateWindowAux::new();
        connection.create_window(0, id, root, 0, 0, width, height, 0, kind, 0, &aux).unwrap();
        connection.map_window(id).unwrap();
        connection.flush().unwrap();
        Self { connection, id }
    }

    /// Distinct colours in the picture that the window shows: one means that nothing is drawn.
    pub fn colours(&self) -> usize {
        use x11rb::protocol::xproto::ImageFormat;
        let size = self.connection.get_geometry(self.id).unwrap().reply().unwrap();
        let image = self.connection.get_image(
            ImageFormat::Z_PIXMAP,
            self.id,
            0,
            0,
            size.width,
            size.height,
            u32::MAX,
        );
        let data = image.unwrap().reply().unwrap().data;
        data.chunks_exact(4).collect::<std::collections::HashSet<_>>().len()
    }
}
