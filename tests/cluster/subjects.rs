//! Subjects: one for each user, and for each subject one user.

use laneway::cluster::{ClusterError, MAX_NAME_BYTES, Subjects};
use laneway::{MAX_ID_BYTES, RoomId, UserId};
use proptest::prelude::*;

/// Ids of any characters, some of them alike: cut, joined, in capitals.
fn ids() -> impl Strategy<Value = UserId> {
    let any = prop_oneof![
        "\\PC{1,50}",
        "[aA.*>_ -]{1,8}",
        "[a-zA-Z0-9]{1,4}",
        "\\PC{190,200}"
    ];
    any.prop_filter_map("no id", |text| UserId::new(text).ok())
}

proptest! {
    #[test]
    fn r131_two_users_have_one_subject_only_if_their_ids_are_equal(one in ids(), other in ids()) {
        let subjects = Subjects::new("chat").unwrap();
        prop_assert_eq!(subjects.user(&one) == subjects.user(&other), one == other);
    }

    #[test]
    fn r131_a_subject_is_one_the_broker_takes_and_names_its_user(id in ids()) {
        let subjects = Subjects::new(&"n".repeat(MAX_NAME_BYTES)).unwrap();
        let subject = subjects.user(&id);
        prop_assert!(subject.len() <= 310);
        prop_assert!(subject.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)));
        prop_assert_eq!(subject.split('.').count(), 4);
        prop_assert!(subject.split('.').all(|token| !token.is_empty()));
        prop_assert_eq!(subjects.user_of(&subject), Some(id));
        prop_assert_ne!(subject, subjects.control());
    }

    #[test]
    fn r135_two_rooms_have_one_subject_only_if_their_ids_are_equal_and_no_user_has_it(
        one in ids(),
        other in ids(),
    ) {
        let subjects = Subjects::new("chat").unwrap();
        let room = |id: &UserId| RoomId::new(id.as_str()).unwrap();
        let (subject, of_other) = (subjects.room(&room(&one)), subjects.room(&room(&other)));
        prop_assert_eq!(subject == of_other, one == other);
        prop_assert!(subject.len() <= 283); // the cluster's name has 4 bytes here
        prop_assert_eq!(subjects.room_of(&subject), Some(room(&one)));
        prop_assert_eq!(subjects.user_of(&subject), None);
        prop_assert_eq!(subjects.room_of(&subjects.user(&one)), None);
    }

    #[test]
    fn r131_a_subject_that_stands_for_a_user_is_that_users(text in "[A-Za-z0-9_-]{1,12}") {
        let subjects = Subjects::new("chat").unwrap();
        let subject = format!("laneway.chat.u.{text}");
        if let Some(user) = subjects.user_of(&subject) {
            prop_assert_eq!(subjects.user(&user), subject);
        }
    }
}

#[test]
fn r131_the_longest_id_has_a_subject_and_clusters_share_none() {
    let id = UserId::new("é".repeat(MAX_ID_BYTES / 2)).unwrap();
    let (chat, other) = (
        Subjects::new("chat").unwrap(),
        Subjects::new("chat2").unwrap(),
    );
    assert_eq!(chat.user_of(&chat.user(&id)), Some(id.clone()));
    assert_eq!(chat.user_of(&other.user(&id)), None);
    for name in [
        "",
        "a.b",
        "a b",
        "*",
        ">",
        "ü",
        &"n".repeat(MAX_NAME_BYTES + 1),
    ] {
        assert_eq!(Subjects::new(name), Err(ClusterError::Name), "{name}");
    }
}
