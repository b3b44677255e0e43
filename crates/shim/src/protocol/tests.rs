//! The codec against messages, pieces and garbage.

use super::*;
use brig_core::{Id, Kind};
use proptest::prelude::*;

fn requests() -> impl Strategy<Value = Request> {
    let target = prop_oneof![Just(Target::Init), Just(()).prop_map(|()| Target::Exec(Id::random()))];
    prop_oneof![
        Just(Request::State),
        Just(Request::Start),
        Just(Request::Pause),
        any::<u32>().prop_map(|protocol| Request::Hello { protocol }),
        (target.clone(), any::<i32>(), any::<bool>()).prop_map(|(target, signal, all)| Request::Signal {
            target,
            signal,
            all
        }),
        (target.clone(), any::<u16>(), any::<u16>())
            .prop_map(|(target, rows, cols)| Request::Resize { target, size: ConsoleSize { rows, cols } }),
        (target, any::<[bool; 3]>()).prop_map(|(target, [stdin, stdout, stderr])| Request::Attach {
            target,
            stdin,
            stdout,
            stderr
        }),
    ]
}

proptest! {
    #[test]
    fn frames_come_back_however_they_are_cut(
        sent in proptest::collection::vec((any::<u64>(), requests()), 1..8),
        cuts in proptest::collection::vec(1usize..40, 1..40),
    ) {
        let sent: Vec<ClientFrame> = sent.into_iter().map(|(id, request)| ClientFrame { id, request }).collect();
        let bytes: Vec<u8> = sent.iter().flat_map(|f| encode(f).unwrap()).collect();
        let (mut decoder, mut got, mut rest) = (Decoder::default(), Vec::<ClientFrame>::new(), &bytes[..]);
        for cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            decoder.push(piece);
            rest = after;
            while let Some(json) = decoder.next_frame().unwrap() {
                got.push(decode(json).unwrap());
            }
            decoder.shrink();
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(&got, &sent);
        prop_assert!(decoder.buffered().is_empty());
        // Blocking reading takes the same frames, and not a byte more.
        let mut reader = &bytes[..];
        for frame in &sent {
            let json = read_frame(&mut reader).unwrap().unwrap();
            prop_assert_eq!(&decode::<ClientFrame>(&json).unwrap(), frame);
        }
        prop_assert!(read_frame(&mut reader).unwrap().is_none());
    }

    #[test]
    fn garbage_is_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut decoder = Decoder::default();
        decoder.push(&bytes);
        while let Ok(Some(json)) = decoder.next_frame() {
            let _ = decode::<ClientFrame>(json);
            let _ = decode::<ServerFrame>(json);
        }
        let mut reader = &bytes[..];
        while let Ok(Some(_)) = read_frame(&mut reader) {}
    }
}

#[test]
fn a_torn_frame_is_an_error_and_a_long_one_is_refused_unread() {
    let frame = encode(&ClientFrame { id: 1, request: Request::State }).unwrap();
    for cut in 1..frame.len() {
        assert!(matches!(read_frame(&mut &frame[..cut]), Err(CodecError::Torn)), "{cut}");
    }
    let long = (MAX_FRAME as u32 + 1).to_le_bytes();
    assert!(matches!(read_frame(&mut &long[..]), Err(CodecError::TooLong(_))));
    let mut decoder = Decoder::default();
    decoder.push(&long);
    assert!(matches!(decoder.next_frame(), Err(CodecError::TooLong(_))));
    assert!(matches!(encode(&"x".repeat(MAX_FRAME)), Err(CodecError::TooLong(_))));
}

/// Old shims outlive upgrades: what they said yesterday is understood tomorrow.
#[test]
fn the_words_on_the_wire() {
    let id = Id::parse(&"ab".repeat(32)).unwrap();
    let text = |frame: &ServerFrame| serde_json::to_string(frame).unwrap();
    let failure = Failure { kind: Kind::NotFound, message: "no".into(), exec_exit_code: Some(127) };
    let reply = |result| ServerFrame::Reply { id: 7, result };
    assert_eq!(
        text(&reply(Err(failure))),
        r#"{"reply":{"id":7,"result":{"Err":{"kind":"not_found","message":"no","exec_exit_code":127}}}}"#
    );
    assert_eq!(text(&reply(Ok(Reply::Done))), r#"{"reply":{"id":7,"result":{"Ok":"done"}}}"#);
    let exit = ExitRecord { code: 137, signal: Some(9), oom_killed: true, exited_at: 5, error: None };
    assert_eq!(
        text(&ServerFrame::Event(Event::Exited(exit))),
        r#"{"event":{"exited":{"code":137,"signal":9,"oom_killed":true,"exited_at":5}}}"#
    );
    let request = Request::Signal { target: Target::Exec(id), signal: 15, all: false };
    assert_eq!(
        serde_json::to_string(&ClientFrame { id: 2, request }).unwrap(),
        format!(
            r#"{{"id":2,"request":{{"signal":{{"target":{{"exec":"{id}"}},"signal":15,"all":false}}}}}}"#
        )
    );
}
