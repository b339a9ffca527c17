curl -sS 'http://127.0.0.1:8000/v1/audio/speech' \
  -H 'content-type: application/json' \
  --data-binary @- <<'JSON'
{"model":"tts-1","input":"It's me","voice":"alloy"}
JSON
