"""Lesson 3: what becomes of a job that fails: it is tried again, it gives up, and you bring it back."""

from __future__ import annotations

from ironforge import Backoff, Context, Discard, Forge, Retry, Snooze

forge = Forge()
# The default waits 2, 4, 8 … seconds, up to five minutes; a lesson has less time.
QUICK = Backoff(base_seconds=0.01, max_seconds=0.1)


@forge.job("bank.transfer", max_retries=5, backoff=QUICK)
async def transfer(context: Context) -> str:
    """Any exception is a failed attempt."""
    if context.attempt < 3:
        raise ConnectionError("the bank does not answer")
    return f"done at attempt {context.attempt}"


@forge.job("bank.close", max_retries=2, backoff=QUICK)
async def close(fails: bool, context: Context) -> str:
    if fails and context.attempt <= 3:
        raise ConnectionError("the bank does not answer")
    return "closed"


@forge.job("bank.statement")
async def statement(account: str, context: Context) -> object:
    """Instead of failing, a handler may say itself what shall happen."""
    if account == "closed":
        raise Discard("the account is closed")  # to the dead letter at once: trying again would not help
    if account == "busy" and context.attempt == 1:
        return Retry(after=0.01)  # a failed attempt, and this long until the next
    if account == "asleep" and context.fence == 1:
        return Snooze(seconds=0.01)  # later again, but no attempt is spent
    return context.attempt


def test_a_failed_attempt_is_followed_by_another(client):
    job = client.wait(client.submit("bank.transfer")["id"])
    assert job["result"] == "done at attempt 3"
    # The job keeps what went wrong, attempt by attempt.
    assert [error["message"] for error in job["errors"]] == ["the bank does not answer"] * 2


def test_a_job_without_retries_left_is_dead_and_can_be_revived(client):
    job_id = client.submit("bank.close", {"fails": True})["id"]
    assert client.wait(job_id)["status"] == "dead"

    # Dead jobs are in the dead letter, with their errors, for thirty days.
    assert [job["id"] for job in client.dlq(kind="bank.close")["jobs"]] == [job_id]

    # When the cause is mended, `retry` brings it back (as `ironforge dlq retry ID` does), here for one more attempt.
    client.retry(job_id, reset_retry_count=False)
    assert client.wait(job_id)["result"] == "closed"


def test_a_handler_discards_what_can_never_succeed(client):
    job = client.wait(client.submit("bank.statement", {"account": "closed"})["id"])
    assert job["status"] == "dead"
    assert "the account is closed" in job["reason"]


def test_a_handler_says_when_it_wants_to_be_tried_again(client):
    job = client.wait(client.submit("bank.statement", {"account": "busy"})["id"])
    assert job["result"] == 2


def test_a_handler_puts_its_job_off(client):
    job = client.wait(client.submit("bank.statement", {"account": "asleep"})["id"])
    assert job["result"] == 1
