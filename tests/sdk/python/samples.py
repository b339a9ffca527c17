"""What the judges send: one tool in three dialects, a picture, and the shape of a structured answer."""

import base64

from pydantic import BaseModel

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "the city's name"}},
    "required": ["city"],
    "additionalProperties": False,
}
DESCRIPTION = "Get the current weather"
CHAT_TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "description": DESCRIPTION, "parameters": PARAMETERS},
}
RESPONSES_TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": DESCRIPTION,
    "parameters": PARAMETERS,
    "strict": True,
}
ANTHROPIC_TOOL = {"name": "get_weather", "description": DESCRIPTION, "input_schema": PARAMETERS}

# A picture of one transparent point.
PNG_BASE64 = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
PNG = base64.b64decode(PNG_BASE64)
PNG_DATA_URL = f"data:image/png;base64,{PNG_BASE64}"
PNG_URL = "https://example.org/point.png"


class City(BaseModel):
    """The structured answer the judges ask for."""

    name: str
    inhabitants: int
    coastal: bool
