//! The client.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use demos::http::{Scheme, Url};
use demos::options::CommonOptions;
use demos::outside::Stopwatch;
use demos::program::Program;
use demos::{client, human};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use stack::host::futures::TcpStream;
use tokio::time::timeout;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// What to fetch: http://HOST[:PORT]/PATH.
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,

    /// Speak HTTP/2, without asking whether the server does.
    #[arg(long)]
    http2: bool,

    /// Give up after so many seconds of silence.
    #[arg(short, long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,

    #[command(flatten)]
    pub(crate) common: CommonOptions,
}

/// A connection to ask over.
pub(crate) enum Asker {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

/// Fetches all of them. The status is success if all replies were below 400.
pub(crate) fn fetch(program: &Program, options: &Options) -> Result<ExitCode> {
    let urls: Result<Vec<Url>> = options.urls.iter().map(|url| understand(url)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let is_fine = runtime.block_on(fetch_all(program, options, &urls?))?;
    Ok(if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn understand(text: &str) -> Result<Url> {
    let url = Url::parse(text)?;
    ensure!(url.scheme == Scheme::Http, "{url}: only http here; the demo get knows https");
    Ok(url)
}

async fn fetch_all(program: &Program, options: &Options, urls: &[Url]) -> Result<bool> {
    let patience = Duration::from_secs(options.timeout);
    let clock = Stopwatch::start();
    let (mut open, mut connections, mut total, mut is_fine) = (None, 0, 0, true);
    for url in urls {
        let mut asker = match reuse(open.take(), url).await {
            Some(asker) => asker,
            None => {
                connections += 1;
                connect(program, url, options.http2, patience).await?
            }
        };
        let reply = timeout(patience, ask(&mut asker, url)).await;
        let mut reply = reply.with_context(|| format!("{url}: no reply"))??;
        is_fine &= reply.status().as_u16() < 400;
        log::info!("{url}: {:?} {}", reply.version(), reply.status());
        let taken = take(reply.body_mut(), patience, &mut io::stdout().lock()).await;
        total += taken.with_context(|| format!("{url}: the reply ends early"))?;
        open = Some((url.authority.clone(), asker));
    }
    let (replies, connections) =
        (human::count(urls.len() as u64, "answer"), human::count(connections, "connection"));
    let (bytes, time) = (human::bytes(total), human::time(clock.elapsed()));
    program.say(&format!("{replies} over {connections}, {bytes} in {time}"));
    Ok(is_fine)
}

/// The connection of the request before, if it leads to this server, too, and is still open.
async fn reuse(open: Option<(String, Asker)>, url: &Url) -> Option<Asker> {
    let (_, mut asker) = open.filter(|(authority, _)| *authority == url.authority)?;
    asker.ready().await.is_ok().then_some(asker)
}

/// Finding names and connecting blocks; what is connected need not.
async fn connect(program: &Program, url: &Url, http2: bool, patience: Duration) -> Result<Asker> {
    let stream = client::connect(program, &url.authority, patience)
        .map_err(|error| client::explain(error, &url.authority))?;
    stream.set_nodelay(true)?;
    Asker::over(stream.into(), http2).await.with_context(|| format!("{url}: no HTTP"))
}

impl Asker {
    /// Speaks HTTP over a stream, in a task beside this one.
    pub(crate) async fn over(stream: TcpStream, http2: bool) -> hyper::Result<Asker> {
        let stream = TokioIo::new(stream);
        Ok(if http2 {
            let (asker, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
            tokio::spawn(connection);
            Asker::Http2(asker)
        } else {
            let (asker, connection) = http1::handshake(stream).await?;
            tokio::spawn(connection);
            Asker::Http1(asker)
        })
    }

    /// Waits until the reply before has been taken in.
    async fn ready(&mut self) -> hyper::Result<()> {
        match self {
            Asker::Http1(asker) => asker.ready().await,
            Asker::Http2(asker) => asker.ready().await,
        }
    }
}

/// Sends the request and reads the head of the reply.
pub(crate) async fn ask(asker: &mut Asker, url: &Url) -> Result<Response<Incoming>> {
    asker.ready().await?;
    let request = Request::builder();
    Ok(match asker {
        Asker::Http1(asker) => {
            let request = request.uri(&url.target).header(header::HOST, &url.host);
            asker.send_request(request.body(Empty::new())?).await?
        }
        Asker::Http2(asker) => {
            let request = request.uri(url.to_string());
            asker.send_request(request.body(Empty::new())?).await?
        }
    })
}

/// Writes the body as it comes, and returns its length.
async fn take(body: &mut Incoming, patience: Duration, out: &mut impl Write) -> Result<u64> {
    let mut total = 0;
    while let Some(frame) = timeout(patience, body.frame()).await? {
        if let Ok(data) = frame?.into_data() {
            out.write_all(&data)?;
            total += data.len() as u64;
        }
    }
    out.flush()?;
    Ok(total)
}
