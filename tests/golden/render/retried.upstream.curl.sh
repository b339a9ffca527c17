# placeholders stand where secrets were: this is not the request as it was sent
curl -sS -N 'https://eu.api.openai.com/v1/chat/completions' \
  -H "authorization: Bearer $OPENAI_EU_API_KEY" \
  -H 'content-type: application/json' \
  -H 'user-agent: codex_cli_rs/0.58.0 (Ubuntu 24.04; x86_64) xterm-256color' \
  -H 'accept: text/event-stream' \
  -H 'traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' \
  --data-binary @- <<'JSON'
{"model":"gpt-5-2026-08"}
JSON
