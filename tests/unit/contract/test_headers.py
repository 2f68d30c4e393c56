from streams.contract.headers import erasures_of, headers, headers_of, with_erasures
from streams.contract.topics import ALL_TOPICS, CAMPAIGN_PARTIALS, CAMPAIGN_PROGRESS, PUBLIC_TOPICS, SMS_STATUS


def test_every_public_topic_says_its_type_and_its_schema_and_no_other_does() -> None:
    for topic in PUBLIC_TOPICS:
        name = topic.suffix.encode()
        assert headers(topic) == (("type", name), ("schema", name + b"/1"))
    assert [topic for topic in ALL_TOPICS if headers(topic)] == [*PUBLIC_TOPICS]
    assert headers(CAMPAIGN_PARTIALS) == ()


def test_a_record_about_an_sms_says_whether_it_is_final_and_its_campaign() -> None:
    basic = headers(SMS_STATUS)
    assert headers_of(SMS_STATUS.suffix, is_final=True, campaign="Ünï") == (
        *basic,
        ("final", b"1"),
        ("campaign", "Ünï".encode()),
    )
    assert headers_of(SMS_STATUS.suffix, is_final=False, campaign=None) == (*basic, ("final", b"0"))
    progress = headers_of(CAMPAIGN_PROGRESS.suffix, is_final=False, campaign="c")
    assert progress[0] == ("type", b"campaign.progress")


def test_the_first_record_of_a_batch_tells_the_erasures_of_all_of_a_batch_of_that_length_alone() -> None:
    own = headers_of(SMS_STATUS.suffix, is_final=True, campaign="c")
    first = with_erasures(own, b"0123456789abcdef", 12)
    assert [one for one in first if one not in own] == [("erasures", b"0123456789abcdef/12")]
    assert erasures_of(first, 12) == b"0123456789abcdef"
    for other in (11, 13, 1, 0):
        assert erasures_of(first, other) is None
    for known in ([], own, [("erasures", None)], [("erasures", b"0123456789abcdef")], [("erasures", b"/")]):
        assert erasures_of(known, 12) is None
