//! The HTTP service: routes, DTOs, problem documents, SSE, WebSocket and OpenAPI.
