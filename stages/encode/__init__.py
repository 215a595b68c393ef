"""Stage `encode`: frozen knowledge; backbone weights, class text embeddings, image embeddings."""
