// What the judges send: one tool in three dialects, a picture, and the shape of a structured answer.

const PARAMETERS = {
  type: "object",
  properties: { city: { type: "string", description: "the city's name" } },
  required: ["city"],
  additionalProperties: false,
};
const description = "Get the current weather";

export const CHAT_TOOL = { type: "function", function: { name: "get_weather", description, parameters: PARAMETERS } };
export const RESPONSES_TOOL = {
  type: "function",
  name: "get_weather",
  description,
  parameters: PARAMETERS,
  strict: true,
};
export const ANTHROPIC_TOOL = { name: "get_weather", description, input_schema: PARAMETERS };
export const GEMINI_TOOL = {
  functionDeclarations: [{ name: "get_weather", description, parametersJsonSchema: PARAMETERS }],
};

export const PNG_BASE64 =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
export const PNG_DATA_URL = `data:image/png;base64,${PNG_BASE64}`;
export const PNG_URL = "https://example.org/point.png";

export const CITY_SCHEMA = {
  type: "object",
  properties: { name: { type: "string" }, inhabitants: { type: "integer" }, coastal: { type: "boolean" } },
  required: ["name", "inhabitants", "coastal"],
  additionalProperties: false,
};
