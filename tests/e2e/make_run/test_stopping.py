"""`make run` stopped and started again. The last of the folder: it stops what the others share."""

from tests.e2e.make_run.running import Run, get, press_ctrl_c, start
from tests.running_stack import settings_on_free_ports


async def test_ctrl_c_stops_all_and_the_next_start_continues(run: Run) -> None:
    first, count = run.demo, (await get(run, f"/{run.demo.device_id}/stat"))["msg_tot"]
    said = await press_ctrl_c(run)
    assert run.child.returncode == 0
    assert "nothing is lost" in said
    moved = settings_on_free_ports(run.settings.state_dir)
    again = await start(moved)
    try:
        assert (again.demo.user_id, again.demo.device_id) == (first.user_id, first.device_id)
        assert again.demo.api_url == f"http://localhost:{moved.api_port}"
        assert f"sb://localhost:{moved.amqp_port};" in again.demo.queue_connection_string
        assert (await get(again, f"/{first.device_id}/stat"))["msg_tot"] >= count
    finally:
        await press_ctrl_c(again)
