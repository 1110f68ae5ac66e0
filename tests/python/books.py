"""A shelf of books: an HTTP API as people write them with FastAPI, which publishes OpenAPI 3.1.

It has what the ready-made services of the tests lack: repeated query parameters of an enum, a
header and a cookie as arguments, an upload with a field beside the file, an image as the answer, a
key of an API, form data, lines of JSON, and refusals of each kind. FastAPI's own validation judges
every request.
"""

import json
from enum import Enum
from typing import Annotated

from fastapi import Cookie, Depends, FastAPI, File, Form, Header, HTTPException, Path, Query, Response, UploadFile
from fastapi.responses import StreamingResponse
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, Field

KEY = "open-sesame"


class Genre(str, Enum):
    CRIME = "crime"
    POETRY = "poetry"
    SCIENCE = "science"


class Book(BaseModel):
    title: Annotated[str, Field(min_length=1, max_length=100)]
    genre: Genre
    pages: Annotated[int | None, Field(ge=1)] = None
    tags: list[str] = []


class Kept(Book):
    id: str


class Cover(BaseModel):
    name: str | None
    type: str | None
    size: int
    caption: str


app = FastAPI(title="Books", version="1.0.0")
shelf: dict[str, Book] = {}
covers: dict[str, tuple[str, bytes]] = {}

Id = Annotated[str, Path(description="Any text that names the book.")]


def with_key(key: Annotated[str, Depends(APIKeyHeader(name="X-Key"))]) -> None:
    if key != KEY:
        raise HTTPException(403, "that key opens nothing")


def found(id: str) -> Book:
    if id not in shelf:
        raise HTTPException(404, f"no book {id!r}")
    return shelf[id]


@app.get("/books", operation_id="list_books")
def list_books(
    genre: Annotated[list[Genre], Query(description="Any of these.")] = [],
    tag: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> list[Kept]:
    kept = [Kept(id=id, **book.model_dump()) for id, book in sorted(shelf.items())]
    return [
        book for book in kept if (not genre or book.genre in genre) and (tag is None or tag in book.tags)
    ][:limit]


@app.put("/books/{id}", operation_id="keep_book", dependencies=[Depends(with_key)])
def keep_book(id: Id, book: Book) -> Kept:
    shelf[id] = book
    return Kept(id=id, **book.model_dump())


@app.get("/books/{id}", operation_id="read_book")
def read_book(id: Id) -> Kept:
    return Kept(id=id, **found(id).model_dump())


@app.delete("/books/{id}", operation_id="remove_book", status_code=204, dependencies=[Depends(with_key)])
def remove_book(id: Id) -> None:
    found(id)
    del shelf[id]


@app.post("/books/{id}/cover", operation_id="upload_cover", dependencies=[Depends(with_key)])
async def upload_cover(id: Id, file: Annotated[UploadFile, File()], caption: Annotated[str, Form()]) -> Cover:
    found(id)
    content = await file.read()
    covers[id] = (caption, content)
    return Cover(name=file.filename, type=file.content_type, size=len(content), caption=caption)


@app.get("/books/{id}/cover", operation_id="show_cover", response_class=Response,
         responses={200: {"content": {"image/png": {}}}})
def show_cover(id: Id) -> Response:
    found(id)
    return Response(covers[id][1], media_type="image/png")


@app.post("/sign", operation_id="sign")
def sign(name: Annotated[str, Form()], colors: Annotated[list[str], Form()] = []) -> dict[str, str | list[str]]:
    return {"name": name, "colors": colors}


@app.get("/visit", operation_id="visit")
def visit(
    x_desk: Annotated[str, Header(description="Which desk.")],
    seat: Annotated[str | None, Cookie()] = None,
) -> dict[str, str | None]:
    return {"desk": x_desk, "seat": seat}


@app.get("/lines", operation_id="lines", response_class=StreamingResponse,
         responses={200: {"content": {"application/x-ndjson": {}}}})
def lines(count: Annotated[int, Query(ge=1, le=10)] = 3) -> StreamingResponse:
    each = (json.dumps({"line": line}) + "\n" for line in range(1, count + 1))
    return StreamingResponse(each, media_type="application/x-ndjson")


@app.post("/busy", operation_id="busy", status_code=202)
def busy() -> None:
    raise HTTPException(429, "later, please", headers={"Retry-After": "7"})
