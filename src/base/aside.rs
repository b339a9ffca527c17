//! Threads that stand aside for traffic: whoever waits for an answer comes before whoever puts one away.

/// From now on this thread runs only where the processor has nothing better to do. For work that may take as long as it
/// likes: it cannot be taken back.
pub fn stand_aside() {
    #[cfg(target_os = "linux")]
    {
        /// The least that Linux knows.
        const LEAST: i32 = 19;
        // On Linux this is a matter of the thread, not of the process. Where it is refused, the thread is a little rude.
        let _refused = rustix::process::setpriority_process(None, LEAST);
    }
}

/// Lets others on that wait for this processor, in the middle of long work: an answer is then late by one step of it, not by
/// all of it.
pub fn let_others_on() {
    std::thread::yield_now();
}
