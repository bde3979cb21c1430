"""Debian's Firefox, driven by WebDriver BiDi over its own WebSocket: no driver program, and only
what the tests here need of the protocol.

All that it would ask of the network goes to a proxy that is not
there; this machine's own addresses are reached directly.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from soundcard import SoundCard
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox") or ""
UP_WITHIN_S = 60.0
ANSWER_WITHIN_S = 60.0
LOOK_S = 0.1
NOWHERE = 9
"""The discard port: nothing listens there."""

PREFERENCES: dict[str, str | int | bool] = {
    # Whether the page may use the microphone is not asked.
    "media.navigator.permission.disabled": True,
    # Server and browser are one machine: as Chromium's --allow-loopback-in-peer-connection.
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    # Nobody is asked for anything but the server here.
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": NOWHERE,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": NOWHERE,
    "network.proxy.no_proxies_on": "127.0.0.1, localhost",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.disablePrefetch": True,
    "network.prefetch-next": False,
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.aboutwelcome.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "services.settings.server": "data:,#nobody",
    "toolkit.telemetry.enabled": False,
}

Json = dict[str, Any]


class ScriptFailed(Exception):
    """A script threw in the page."""


class CommandFailed(Exception):
    """Firefox refused a command; `code` is the protocol's."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


class Firefox:
    """One Firefox. Commands go out, answers come back by number, events go to the pages."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Json]] = {}
        self._pages: dict[str, Page] = {}
        self._reading = asyncio.create_task(self._read())

    async def command(self, method: str, **params: Any) -> Json:
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                told = await answer
        finally:
            del self._waiting[number]
        if told["type"] == "error":
            raise CommandFailed(told["error"], told["message"])
        result: Json = told["result"]
        return result

    async def page(self) -> Page:
        """A new tab."""
        made = await self.command("browsingContext.create", type="tab")
        page = self._pages[made["context"]] = Page(self, made["context"])
        return page

    async def _read(self) -> None:
        with suppress(ConnectionClosed):
            async for text in self._socket:
                told = json.loads(text)
                if told["type"] == "event":
                    self._happened(told["method"], told["params"])
                elif answer := self._waiting.get(told["id"]):
                    answer.set_result(told)

    def _happened(self, method: str, params: Json) -> None:
        context = params.get("context") or params.get("source", {}).get("context", "")
        page = self._pages.get(context)
        if page is None:
            return
        if method == "log.entryAdded" and params["level"] in ("error", "warn"):
            page.complaints.append(f"{params['level']}: {params['text']}")
        elif method == "network.beforeRequestSent":
            page.requested.append(params["request"]["url"])

    async def close(self) -> None:
        with suppress(CommandFailed, ConnectionClosed, TimeoutError):
            await self.command("browser.close")
        await self._socket.close()
        await self._reading


class Page:
    """A tab: what a person does in it, and what stands there."""

    def __init__(self, firefox: Firefox, context: str) -> None:
        self._firefox = firefox
        self._context = context
        self.complaints: list[str] = []
        self.requested: list[str] = []

    async def goto(self, url: str) -> None:
        await self._firefox.command(
            "browsingContext.navigate", context=self._context, url=url, wait="complete"
        )

    async def reload(self) -> None:
        await self._firefox.command(
            "browsingContext.reload", context=self._context, wait="complete"
        )

    async def activate(self) -> None:
        """Bring it to the front."""
        await self._firefox.command("browsingContext.activate", context=self._context)

    async def run(self, function: str, *arguments: object) -> Any:
        """What a function of the page's returns. Raises `ScriptFailed`."""
        told = await self._firefox.command(
            "script.callFunction",
            functionDeclaration=_as_text(function),
            awaitPromise=True,
            target={"context": self._context},
            arguments=[{"type": "string", "value": json.dumps(list(arguments))}],
            userActivation=False,
        )
        if told["type"] == "exception":
            raise ScriptFailed(told["exceptionDetails"]["text"])
        value = told["result"].get("value")
        return None if value is None else json.loads(value)

    async def until(self, function: str, *arguments: object, within_s: float = 30.0) -> Any:
        """Until a function of the page's returns something that is true; over reloads too."""
        loop = asyncio.get_running_loop()
        late = loop.time() + within_s
        found: Any = None
        while loop.time() < late:
            with suppress(CommandFailed, ScriptFailed):  # between two pages there is nobody to ask
                found = await self.run(function, *arguments)
                if found:
                    return found
            await asyncio.sleep(LOOK_S)
        raise TimeoutError(f"{function} {arguments}: {found!r} after {within_s:.0f} s")

    async def text(self, test_id: str) -> str:
        """What is seen of an element."""
        found = await self.run(
            "id => document.querySelector(`[data-testid=${id}]`)?.innerText ?? ''", test_id
        )
        return str(found)

    async def click(self, selector: str) -> None:
        """As a mouse does: so the browser knows that a person is there."""
        await self._act(
            {
                "type": "pointer",
                "id": "mouse",
                "actions": [
                    {
                        "type": "pointerMove",
                        "x": 0,
                        "y": 0,
                        "origin": {"type": "element", "element": await self._element(selector)},
                    },
                    {"type": "pointerDown", "button": 0},
                    {"type": "pointerUp", "button": 0},
                ],
            }
        )

    async def press(self, test_id: str) -> None:
        await self.click(f"[data-testid={test_id}]")

    async def types(self, selector: str, text: str) -> None:
        """Letter by letter, as a keyboard does."""
        await self.click(selector)
        keys = [{"type": kind, "value": letter} for letter in text for kind in ("keyDown", "keyUp")]
        await self._act({"type": "key", "id": "keyboard", "actions": keys})

    async def _act(self, source: Json) -> None:
        await self._firefox.command("input.performActions", context=self._context, actions=[source])

    async def _element(self, selector: str) -> Json:
        """A reference to an element that is seen now."""
        await self.until(
            """selector => {
                const found = document.querySelector(selector);
                found?.scrollIntoView({block: "center", behavior: "instant"});
                return found?.checkVisibility() && found.getClientRects().length > 0;
            }""",
            selector,
        )
        told = await self._firefox.command(
            "script.callFunction",
            functionDeclaration="selector => document.querySelector(selector)",
            awaitPromise=False,
            target={"context": self._context},
            arguments=[{"type": "string", "value": selector}],
        )
        return {"sharedId": told["result"]["sharedId"]}


def _as_text(function: str) -> str:
    """Values cross as JSON: BiDi's own tagged values are not needed here."""
    return (
        "async given => {"
        f"const value = await ({function})(...JSON.parse(given));"
        "return value === undefined ? null : JSON.stringify(value); }"
    )


@asynccontextmanager
async def launch(folder: Path, card: SoundCard | None) -> AsyncIterator[Firefox]:
    """Firefox with a new profile in this folder, gone at the end. Without a sound card its
    microphone is a tone, and it has no loudspeaker."""
    folder.mkdir(parents=True)  # noqa: ASYNC240 - before anything runs
    wanted = PREFERENCES | {"media.navigator.streams.fake": card is None}
    lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in wanted.items()]
    (folder / "user.js").write_text("\n".join(lines), encoding="utf-8")
    command = (FIREFOX, "--headless", "--no-remote", "--profile", str(folder))
    with (folder / "firefox.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            "--remote-debugging-port",
            "0",
            "about:blank",
            env=os.environ | (card.environment if card else {}) | {"HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        socket = await connect(
            f"{await _address(folder, process)}/session", max_size=None, proxy=None
        )
        firefox = Firefox(socket)
        try:
            await firefox.command("session.new", capabilities={})
            await firefox.command(
                "session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"]
            )
            yield firefox
        finally:
            await firefox.close()
    finally:
        await _end(process)


async def _address(folder: Path, process: asyncio.subprocess.Process) -> str:
    """Where it listens: it says so in its profile."""
    file = folder / "WebDriverBiDiServer.json"
    async with asyncio.timeout(UP_WITHIN_S):
        while True:
            with suppress(FileNotFoundError, ValueError, KeyError):
                told = json.loads(file.read_text(encoding="utf-8"))
                return f"ws://{told['ws_host']}:{told['ws_port']}"
            if process.returncode is not None:
                raise RuntimeError((folder / "firefox.log").read_text(encoding="utf-8"))
            await asyncio.sleep(LOOK_S)


async def _end(process: asyncio.subprocess.Process) -> None:
    """It was told to go; whatever is left of its group goes now."""
    with suppress(TimeoutError):
        async with asyncio.timeout(10):
            await process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
