//! The thread that removes discarded folders and does what else need not be waited for, so that neither the end of a
//! container nor a commit waits for the file system.

use crate::layout::Staging;
use std::{
    sync::{
        Mutex, PoisonError,
        mpsc::{self, Sender, SyncSender},
    },
    thread::JoinHandle,
};

/// Work of which nobody waits for the end. It says itself what fails of it.
pub(crate) type Work = Box<dyn FnOnce() + Send>;

/// Started at the first job; when it is dropped, it finishes what it was given.
#[derive(Debug, Default)]
pub(crate) struct Reaper(Mutex<Option<Running>>);

#[derive(Debug)]
struct Running {
    jobs: Sender<Job>,
    thread: JoinHandle<()>,
}

enum Job {
    /// Dropping it removes it.
    Remove(Staging),
    /// Done in its turn.
    Do(Work),
    /// Answers when all before is done.
    Tell(SyncSender<()>),
}

impl Reaper {
    /// Takes over a folder that has been moved out of the way.
    pub(crate) fn take(&self, staging: Staging) {
        if let Some(Job::Remove(staging)) = self.queue(Job::Remove(staging)) {
            // Without the thread, the folder is removed here.
            drop(staging);
        }
    }

    /// Takes over work.
    pub(crate) fn later(&self, work: Work) {
        if let Some(Job::Do(work)) = self.queue(Job::Do(work)) {
            work();
        }
    }

    /// Gives a job to the thread; it comes back when there is none.
    fn queue(&self, job: Job) -> Option<Job> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if running.is_none() {
            let (jobs, queue) = mpsc::channel();
            let thread = std::thread::Builder::new().name("store reaper".to_owned()).spawn(move || {
                for job in queue {
                    match job {
                        Job::Remove(staging) => drop(staging),
                        Job::Do(work) => work(),
                        // Whoever asked may have gone.
                        Job::Tell(done) => drop(done.send(())),
                    }
                }
            });
            match thread {
                Ok(thread) => *running = Some(Running { jobs, thread }),
                Err(error) => tracing::warn!(%error, "no thread to remove folders: the caller waits"),
            }
        }
        match &*running {
            Some(running) => running.jobs.send(job).err().map(|unsent| unsent.0),
            None => Some(job),
        }
    }

    /// Waits until all that was taken so far is removed.
    pub(crate) fn settle(&self) {
        let (done, wait) = mpsc::sync_channel(1);
        if let Some(running) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            drop(running.jobs.send(Job::Tell(done)));
        } else {
            return;
        }
        // An error means that the thread is gone, and with it all that was to be done.
        let _ = wait.recv();
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        let running = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { jobs, thread }) = running {
            drop(jobs);
            if thread.thread().id() == std::thread::current().id() {
                // The last work held the store itself: this thread is about to end.
                return;
            }
            // A panic in the thread has been printed; the next start removes what is left.
            drop(thread.join());
        }
    }
}
