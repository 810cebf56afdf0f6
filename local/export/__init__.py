"""Trained models for programs without this recipe: SpeechBrain directories, cards, ONNX."""
